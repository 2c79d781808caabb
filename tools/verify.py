"""Run the last commit from nothing, and compare with its results.

The bytes are the same; or the numbers are like those of another seed, as on another kind of
processor. Otherwise the exit code is 1: they differ, or measured/ has too few runs to compare with.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from dvc.api import DVCFileSystem
from ruamel.yaml import YAML

from measure import ROOT, list_numbers, read_measured, read_numbers
from reporting.statistics import UNLIKELY, further_run_probability
from reporting.study import find_changes

ENOUGH = 6  # seeds; with fewer, numbers far from all of them would still pass
TRAINED = ("models/", "metrics/sweep_l2/")  # what another kind of processor changes first
yaml = YAML(typ="safe")


def git(*words: str) -> str:
    """Return what Git prints, without the user's hooks.

    Its refusal ends this process too.
    """
    command = ["git", "-c", f"core.hooksPath={os.devnull}", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: git {words[0]}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()


def run_study(folder: Path, targets: list[str]) -> None:
    """Run the study in `folder`; its failure ends this process too."""
    runner = subprocess.Popen([sys.executable, "tools/repro.py", *targets], cwd=folder)
    try:
        if code := runner.wait():
            sys.exit(code)
    except KeyboardInterrupt:
        runner.terminate()
        runner.wait()
        raise


def read_hashes(folder: Path) -> dict[str, str]:
    """Return path and hash of each output in dvc.lock."""
    stages = yaml.load(folder / "dvc.lock")["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


def find_recipe(folder: Path) -> str:
    """Return the name of the recipe in params.yaml, or ""."""
    params, published = (yaml.load(folder / n) for n in ("params.yaml", "published/recipe.yaml"))
    for path in folder.glob("recipes/*.yaml"):
        if yaml.load(path) == params:
            return path.stem
    same_images = params["report"]["dataset"] == published["data"]["dataset"]
    changed = any(find_changes(published, params).values())
    return "published" if same_images and not changed else ""


def judge(made: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each number's chance to be so far from other seeds'.

    Numbers that were not measured with enough other seeds are left out.
    """
    rows = []
    for table, numbers in made.items():
        measured = list_numbers(table, read_measured(table)).groupby("kind").value
        for number in list_numbers(table, numbers).itertuples():
            seeds = measured.get_group(number.kind) if number.kind in measured.groups else []
            if len(seeds) >= ENOUGH:
                chance = further_run_probability(seeds, number.value)
                rows.append((f"{number.kind} = {number.value:g}", len(seeds), chance))
    return pd.DataFrame(rows, columns=["number", "seeds", "chance"])


def verify(folder: Path, targets: list[str]) -> str:
    """Run the last commit in `folder`; return the verdict.

    Prints a row for each output.
    """
    git("clone", "--quiet", "--no-local", git("rev-parse", "--show-toplevel"), str(folder))
    folder /= git("rev-parse", "--show-prefix")  # a project may be a folder in a repository
    committed = read_hashes(folder)
    # Nothing counts as made, and no cache of the user's offers results.
    (folder / "dvc.lock").unlink()
    (folder / ".dvc/config.local").write_text("[cache]\n    dir = cache\n", encoding="utf-8")
    run_study(folder, targets)
    made = read_hashes(folder)
    other = [path for path in made if made[path] != committed.get(path)]
    print("| output | bytes |\n| --- | --- |")
    for path in made:
        print(f"| {path} | {'other' if path in other else 'same'} |")
    if not other:
        return f"same bytes: the hashes of all {len(made)} outputs are those in dvc.lock"
    if other[0].startswith("data/") or not any(path.startswith(TRAINED) for path in other):
        return f"differs: {other[0]} has other bytes, which no other processor explains"
    numbers = judge(read_numbers(DVCFileSystem(str(folder)), find_recipe(folder)))
    if numbers.empty:
        return (
            "other bytes: nothing to compare with, since measured/ has fewer than "
            f"{ENOUGH} runs of this recipe with other seeds"
        )
    least = numbers.loc[numbers.chance.idxmin()]
    limit = UNLIKELY / len(numbers)  # so that all of them together hold with 95 %
    return (
        f"{'like another seed' if least.chance >= limit else 'differs'}: the least likely of "
        f"{len(numbers)} numbers is {least.number}: so far from the {least.seeds} seeds in "
        f"measured/, a further one lies with a chance of {least.chance:.2g} (limit {limit:.2g})"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", help="only this stage, and those that it depends on")
    parser.add_argument("--keep", type=Path, help="a new folder for the clone, which then stays")
    options = parser.parse_args()
    keep = options.keep and options.keep.absolute()
    os.chdir(ROOT)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # of a hook: it means another repository
    with tempfile.TemporaryDirectory(prefix="verify-") as temporary:
        targets = [options.stage] if options.stage else []
        verdict = verify(keep or Path(temporary, "clone"), targets)
    print(f"\n{verdict}")
    return int(not verdict.startswith(("same bytes", "like another seed")))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("error: interrupted")
