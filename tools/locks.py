"""What a kill may leave of dvc.lock and of DVC's notes of who uses which file, put right."""

import contextlib
import re
import shutil
from pathlib import Path

import psutil
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.utils.serialize import dumps_yaml, load_yaml, modify_yaml, parse_yaml_for_update

KEPT = Path("logs/dvc.lock")
PARTIAL = Path("logs/dvc.lock.partial")
USERS = Path(".dvc/tmp/rwlock")


def keep(repo: Repo) -> None:
    """Copy dvc.lock: DVC writes it in place, so whoever kills it then leaves half a file."""
    with contextlib.suppress(LockError, FileNotFoundError), repo.lock:
        shutil.copyfile("dvc.lock", PARTIAL)
        PARTIAL.replace(KEPT)


def restore() -> None:
    """Where the last run was killed and left half a dvc.lock, take the copy. What was finished
    since then DVC finds in its cache of runs."""
    if not KEPT.exists():
        return
    try:
        text = Path("dvc.lock").read_text(encoding="utf-8")
        # Half a file may be valid YAML, but not what DVC writes.
        complete = dumps_yaml(parse_yaml_for_update(text, "dvc.lock")) == text
    except (DvcException, FileNotFoundError):
        complete = False
    if not complete:
        print("dvc.lock is incomplete since the last run was killed: taking its copy")
        shutil.copyfile(KEPT, PARTIAL)
        PARTIAL.replace("dvc.lock")


def order(repo: Repo, names: list[str]) -> None:
    """Put dvc.lock, which lists stages as they finish, in the order of `names`."""
    if not Path("dvc.lock").exists():  # the first stage failed
        return
    with repo.lock:
        stages = load_yaml("dvc.lock")["stages"]
        ordered = sorted(
            stages, key=lambda name: names.index(name) if name in names else len(names)
        )
        if ordered != list(stages):
            shutil.copyfile("dvc.lock", PARTIAL)
            with modify_yaml(PARTIAL) as content:
                content["stages"] = {name: content["stages"][name] for name in ordered}
            PARTIAL.replace("dvc.lock")


def forget_copy() -> None:
    """Leave no copy where nothing was killed."""
    KEPT.unlink(missing_ok=True)


def forget_dead() -> None:
    """Delete DVC's notes of which processes use which files if all of those were killed. DVC takes
    one that was killed a moment ago, or that nobody has waited for, as in a container, for
    running."""
    if USERS.exists():
        noted = re.findall(r'"pid": (\d+)', USERS.read_text())
        if not any(map(_runs, map(int, noted))):
            USERS.unlink()


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
