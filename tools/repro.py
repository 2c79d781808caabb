"""`dvc repro`, with the stages that do not depend on each other side by side.

DVC says what is out of date, runs every stage (logs/STAGE.log) and has the last word.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback out of the imports below

import argparse
import contextlib
import fcntl
import importlib
import os
import re
import sys
import time
import uuid
from pathlib import Path

try:
    # Private parts of DVC: its commands would take a second for each question, and none of them
    # says in which order `dvc repro` writes dvc.lock.
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.repo.reproduce import collect_stages, plan_repro
    from dvc.utils.serialize import dump_yaml, load_yaml

    from guard import LOGS, REPRO, RUN, try_lock
except ModuleNotFoundError as error:
    sys.exit(f"error: {sys.executable} has no package {error.name}; use make repro")

ROOT = Path(__file__).resolve().parent.parent
LOCK = Path("dvc.lock")
STOPPING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
OURS = re.compile(rf"tools/repro\.py|dvc/__main__\.py {' '.join(REPRO)}")  # in DVC's notes


def wait_for_stages() -> None:
    """Wait until no stage of this folder runs, on any machine."""
    for log in LOGS.glob("*.log"):
        with log.open("a") as file:
            if not try_lock(file):
                print(f"waiting for the end of {log.stem}", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def hold_folder():
    """Hold this folder for a run; yield the run's name.

    Afterwards none of its stages runs.
    """
    with RUN.open("a+") as file:
        if not try_lock(file):
            time.sleep(1)  # a guard that checks its run holds the lock for a moment
            if not try_lock(file):
                sys.exit("error: another make repro runs in this folder; wait until it has ended")
        name = uuid.uuid4().hex
        file.truncate(0)
        file.write(name)
        file.flush()
        os.fsync(file.fileno())  # for workers on other machines
        try:
            wait_for_stages()  # of a run that was killed
            yield name
        finally:
            file.truncate(0)
            wait_for_stages()


def forget_dead(repo: Repo) -> None:
    """Remove DVC's notes of who uses which file, if only ended runs left them."""
    notes = Path(repo.tmp_dir, "rwlock")
    with repo.lock:
        users = re.findall(r'"cmd": "(.*?)"', notes.read_text()) if notes.exists() else []
        if users and all(OURS.search(user) for user in users):
            notes.unlink()


def read_graph(repo: Repo):
    """Return DVC's graph of the stages."""
    try:
        return repo.index.graph
    except TypeError:  # from DVC, which says nothing more
        sys.exit("error: sweep_l2.grid: factors and replicates are lists: [0.001], not 0.001")


def open_study(targets: list[str]) -> tuple:
    """Return DVC's repository, its graph, and the changed stages' names."""
    has_waited = False
    while True:
        repo = Repo(str(ROOT), _wait_for_lock=True)
        forget_dead(repo)
        try:
            return repo, read_graph(repo), repo.status(targets, with_deps=True)
        except LockError:
            if not has_waited:
                print("another DVC command works in this folder: this run waits", flush=True)
            has_waited = True
            time.sleep(1)
            continue
        except DvcException as error:
            if str(LOCK) not in str(error):
                raise
        if re.search("^<<<<<<<", LOCK.read_text(errors="replace"), re.M):
            sys.exit(f"error: {LOCK} has conflict markers; take a side: git checkout --ours {LOCK}")
        LOCK.replace(LOGS / LOCK)
        print(f"{LOCK} was cut off by a kill: moved to {LOGS}; DVC's cache restores its content")


def order_lock(repo: Repo, names: list[str]) -> None:
    """Sort the stages in dvc.lock like `names`; drop all others.

    DVC adds stages as they end. The others are cells that have left the grid.
    """
    with repo.lock:
        lock = load_yaml(LOCK)
        stages = {name: lock["stages"][name] for name in names if name in lock["stages"]}
        if list(stages) != list(lock["stages"]):
            partial = LOGS / "dvc.lock.partial"
            dump_yaml(partial, lock | {"stages": stages})
            partial.replace(LOCK)


def repro(run: str, options: argparse.Namespace) -> int:
    """Bring the targets, by default everything, up to date; return the exit code."""
    repo, graph, changed = open_study(options.targets)
    stages = {stage.addressing: stage for stage in plan_repro(graph)}
    needs, code = {}, 0
    for stage in plan_repro(graph, collect_stages(repo, options.targets)):
        before = [other.addressing for other in graph[stage] if other.addressing in needs]
        if before or stage.addressing in changed:
            needs[stage.addressing] = before
    if needs:
        runner = importlib.import_module("runner")  # only now: see there
        parameters = runner.check({name: stage.cmd for name, stage in stages.items()})
    if options.dry or not needs:
        print("\n".join(needs) or "Data and pipelines are up to date.")
    else:
        jobs = {"dvc": ([], options.targets)}
        for name in needs:
            jobs[name] = [out.def_path for out in stages[name].outs], ["--single-item", name]
        count = options.workers or runner.count_slots(parameters)
        code = runner.run(run, needs, jobs, count, options.scheduler)
    if not options.dry and not code:
        order_lock(repo, list(stages))
    return code


def interrupt(*_) -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # stopping is not interrupted again
    sys.unraisablehook = lambda _: None  # objects that the stop leaves half-made say nothing
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="stages, as for dvc repro; all by default")
    parser.add_argument("--workers", type=int, help="stages at a time, by default as many as fit")
    parser.add_argument("--scheduler", help="address of a Dask cluster that sees this folder")
    parser.add_argument("--dry", action="store_true", help="only name what may have to run")
    options = parser.parse_args()
    if options.workers is not None and options.workers < 1:
        parser.error("--workers: at least 1")
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)
    os.chdir(ROOT)
    try:
        LOGS.mkdir(exist_ok=True)
        with hold_folder() as run:
            return repro(run, options)
    except KeyboardInterrupt:
        sys.exit("stopped; what was finished is kept: make repro goes on from there")
    except ModuleNotFoundError as error:  # of runner.py
        sys.exit(f"error: {sys.executable} has no package {error.name}; use make repro")
    except DvcException as error:
        mark = getattr(error.__cause__, "problem_mark", None)  # of broken YAML
        where = f", line {mark.line + 1}" if mark else ""
        sys.exit(f"error: {' '.join(str(error).split())}{where}")
    except OSError as error:
        sys.exit(f"error: {error.filename or ROOT}: {error.strerror or error}")


if __name__ == "__main__":
    sys.exit(main())
