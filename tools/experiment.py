"""Try other parameters: each change becomes a DVC experiment and a branch of its name.

The stages run side by side in a copy of the last commit; the working tree stays as it is. Several
values of a parameter, such as `train_cnn.dropout=0.3,0.4`, give an experiment each.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
from dvc.exceptions import DvcException
from dvc.repo import Repo

# Private parts of DVC: what `dvc exp run --set-param` reads changes with.
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from hydra.errors import HydraException
from ruamel.yaml import YAML

from guard import try_lock
from verify import DVC, ROOT, git, read_metrics, run_study

COPY = ROOT / ".dvc" / "tmp" / "experiment"
# The last table's columns.
SHOWN = {
    "metrics/train_mlp.json:test_accuracy": "perceptron",
    "metrics/report.json:best.test_accuracy": "sweep",
    "metrics/train_cnn.json:test_accuracy": "CNN",
    "metrics/train_ae.json:validation_loss": "autoencoder loss",
    "metrics/report.json:noise.denoising_helps_from": "helps from level",
}


def read_recipe(name: str, sections: list[str] | None) -> list[str]:
    """Read the changes of a recipe, in all sections or in some, as words like those of SET."""
    recipe = YAML(typ="safe").load(Path(f"recipes/{name}.yaml"))
    if unknown := set(sections or ()) - recipe.keys():
        sys.exit(f"error: ONLY: {unknown.pop()} is no section of the recipe")
    chosen = {section: recipe[section] for section in sections or recipe}
    [changes] = pd.json_normalize(chosen).to_dict("records")
    return [f"{parameter}={value}" for parameter, value in changes.items()]


def name_experiments(name: str, changes: list[str]) -> dict[str, list[str]]:
    """Name each combination of values in `changes`: `name`, and the values that differ."""
    combinations = [each["params.yaml"] for each in get_hydra_sweeps({"params.yaml": changes})]
    shared = set.intersection(*map(set, combinations)) if name else set()
    named = {}
    for words in combinations:
        parts = [name, *(word for word in words if word not in shared)]
        # A branch may have no brackets in its name, an experiment no slash.
        named[re.sub(r"[^\w.=+-]+", "-", "-".join(parts)).strip("-.")] = words
    return named


def copy_commit() -> None:
    """Clone the last commit, with its results as far as this repository has them."""
    shutil.rmtree(COPY, ignore_errors=True)
    git("clone", "--quiet", "--shared", str(ROOT), str(COPY))
    for key in "user.name", "user.email":
        git("config", key, git("config", "--default", "nobody", key), folder=COPY)
    cache = Repo(str(ROOT)).cache.local_cache_dir
    subprocess.run([*DVC, "cache", "dir", "--local", cache], cwd=COPY, check=True)
    # Pull, so that only what the changes concern is trained. What is missing is made.
    subprocess.run([*DVC, "pull", "--allow-missing"], cwd=COPY, capture_output=True)


def change_parameters(base: str, changes: list[str]) -> None:
    """Set the copy back to the commit `base`, and change its params.yaml."""
    git("reset", "--quiet", "--hard", base, folder=COPY)
    apply_overrides(COPY / "params.yaml", changes)


def is_made(name: str, base: str, message: str) -> bool:
    """Whether `name` is this experiment already. If it is something else, end the process."""
    refs = f"refs/heads/{name}", f"refs/exps/*/*/{name}"
    found = git("for-each-ref", "--format=%(parent) %(subject)", *refs).splitlines()
    if set(found) - {f"{base} {message}"}:
        sys.exit(
            f"error: there is another branch or experiment {name}; choose another NAME, or "
            f"remove it: git branch -D {name}; dvc exp remove {name}"
        )
    return bool(found)


def run(experiments: dict[str, list[str]], lock) -> None:
    """Check all `experiments`, then run those that are not made yet, one by one."""
    base = git("rev-parse", "HEAD")
    if git("status", "--porcelain", "--untracked-files=no"):
        print(f"Starts from the last commit, {base[:7]}, without what you changed since.")
    copy_commit()
    left = {}
    for name, changes in experiments.items():
        git("check-ref-format", "--branch", name)
        message = f"Try {' '.join(changes)}"
        if not is_made(name, base, message):
            change_parameters(base, changes)
            run_study(COPY, "--dry", stdout=subprocess.DEVNULL)
            left[name] = message
    for name, message in left.items():
        print(f"{name}:", flush=True)
        change_parameters(base, experiments[name])
        run_study(COPY, pass_fds=[lock.fileno()])
        git("add", "--all", folder=COPY)
        git("commit", "--quiet", "--allow-empty", f"--message={message}", folder=COPY)
        made = [f"HEAD:refs/{kind}/{name}" for kind in ("heads", f"exps/{base[:2]}/{base[2:]}")]
        git("fetch", "--quiet", "--atomic", str(COPY), *made)


def show(names: list[str]) -> None:
    """Print what each experiment changed and what came of it, in 100 columns."""
    for name in names:
        diff = Repo(str(ROOT)).params.diff(a_rev="HEAD", b_rev=name).get("diff")
        print(f"{name}:" if diff else f"{name}: the same parameters")
        if diff:
            table = pd.DataFrame(diff["params.yaml"]).T[["old", "new"]].sort_index()
            print(table.to_string(header=False, max_colwidth=30))
    paths = {shown.split(":")[0] for shown in SHOWN}
    measured = {name: read_metrics(ROOT, paths, rev=name) for name in ["HEAD", *names]}
    table = pd.DataFrame(measured).T[list(SHOWN)].rename(columns=SHOWN)
    print(table.to_string(line_width=100, na_rep="none", float_format="{:.4g}".format))
    print("The page of an experiment: git switch NAME; dvc checkout; open report.html")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="", help="of the experiment and the branch")
    parser.add_argument("--recipe", help="changes in recipes/RECIPE.yaml")
    parser.add_argument("--only", nargs="+", help="sections of the recipe, instead of all")
    parser.add_argument("--set", nargs="+", default=[], metavar="SECTION.NAME=VALUE")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe, arguments.only) if arguments.recipe else []
    if not (changes := recipe + arguments.set):
        sys.exit('error: nothing to change: SET="train_cnn.dropout=0.3,0.4" or RECIPE=tuned')
    experiments = name_experiments(arguments.name or arguments.recipe or "", changes)
    with COPY.with_suffix(".lock").open("w") as lock:
        # The run inherits it: if this process is killed, the lock holds until that ends.
        if not try_lock(lock):
            sys.exit("error: another make experiment runs in this folder; wait for its end")
        run(experiments, lock)
        shutil.rmtree(COPY)
    show(list(experiments))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.chdir(ROOT)
    COPY.parent.mkdir(exist_ok=True)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("error: interrupted; finished stages are kept: repeat the command to go on")
    except (DvcException, HydraException, OSError) as error:
        sys.exit(f"error: {str(error.__cause__ or error).splitlines()[0]}")
