"""Run the last commit from nothing, and compare with its results.

The bytes are the same; or the numbers are like those of other seeds, as on another kind of
processor. Otherwise the exit code is 1.
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
from dvc.utils.serialize import load_yaml

from measure import ROOT, RUNS, read_run

FAR = 4  # deviations from the mean of other seeds


def git(*words: str) -> str:
    """Return what Git prints. Its refusal ends this process too."""
    done = subprocess.run(["git", *words], capture_output=True, text=True)
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
    stages = load_yaml(folder / "dvc.lock")["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


def compare(numbers: pd.DataFrame) -> pd.DataFrame:
    """Put each number beside mean and deviation of the seeds measured with its recipe."""
    kinds = ["recipe", "stage", "measure", "level"]
    groups = pd.read_csv(RUNS).groupby(kinds, dropna=False).value
    seeds = groups.agg(["mean", "std"]).reset_index()
    table = numbers.astype({"level": float}).merge(seeds, on=kinds).drop(columns="recipe")
    distance = (table.value - table["mean"]).abs()
    # Where seeds do not differ, their deviation is 0.
    return table.assign(deviations=(distance / table["std"]).where(distance > 0, 0.0))


def verify(folder: Path, targets: list[str]) -> str:
    """Run the last commit in `folder`; return the verdict."""
    git("clone", "--quiet", "--no-local", git("rev-parse", "--show-toplevel"), str(folder))
    folder /= git("rev-parse", "--show-prefix")  # a project may be a folder in a repository
    committed = read_hashes(folder)
    # Nothing counts as made, and no cache of the user's offers results.
    (folder / "dvc.lock").unlink()
    (folder / ".dvc/config.local").write_text("[cache]\n    dir = cache\n", encoding="utf-8")
    run_study(folder, targets)
    made = read_hashes(folder)
    other = [path for path in made if made[path] != committed.get(path)]
    if not other:
        return f"same bytes: the hashes of all {len(made)} outputs are those in dvc.lock"
    print(f"other bytes: {', '.join(other)}\n")
    trained = any(path.startswith(("models/", "metrics/sweep_l2/")) for path in other)
    if other[0].startswith("data/") or not trained:
        return f"differs: no other processor explains other bytes of {other[0]}"
    if load_yaml(folder / "params.yaml") != load_yaml(folder / "recipes/published.yaml"):
        return f"differs: {RUNS} has enough seeds of recipes/published.yaml alone"
    table = compare(read_run(DVCFileSystem(str(folder)), "published"))
    print(table.to_markdown(index=False, floatfmt=".5g"), end="\n\n")
    far = table[table.deviations > FAR]
    if far.empty:
        return f"like another seed: all numbers are within {FAR} deviations of the mean"
    return f"differs: {len(far)} of {len(table)} numbers are further than {FAR} deviations away"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", help="only this stage, and those that it depends on")
    parser.add_argument("--keep", type=Path, help="a new folder for the clone, which then stays")
    options = parser.parse_args()
    keep = options.keep and options.keep.absolute()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="verify-") as temporary:
        targets = [options.stage] if options.stage else []
        verdict = verify(keep or Path(temporary, "clone"), targets)
    print(verdict)
    return int(verdict.startswith("differs"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("error: interrupted")
