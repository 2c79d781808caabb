"""Show that the committed code computes the committed results: retrain and compare.

Runs a clone of the last commit from nothing and compares every output with dvc.lock: the same
bytes; like another seed, as on another kind of processor (every metric within the spread between
seeds in measured/seeds.csv); or it differs, with exit code 1.
"""

import argparse
import json
import math
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from dvc.api import DVCFileSystem
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
DVC = [sys.executable, "-m", "dvc"]
# In standard deviations between seeds. Three seeds give one only roughly: ten of them are what
# 98 % of differences stay within (t distribution, 2 degrees of freedom).
LIMIT = 10
SMALLEST = 0.0005  # five of 10,000 images: a smaller deviation is luck
REPLICATE = r"-(\d+)\.json:"  # in the name of a metric of the sweep
DERIVED = "metrics/report.json:"
LEVEL = r"level_[\d.]+\."


def git(*words: str, folder: Path = ROOT) -> str:
    """Return what Git prints for `words`; its refusal ends the process."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(
            f"error: git {words[0]}: {(done.stderr.strip() or 'it was ended').splitlines()[0]}"
        )
    return done.stdout.strip()


def run_study(folder: Path, *words: str, **options) -> None:
    """Run the study in `folder`, stages side by side. Its failure ends this process too."""
    command = [sys.executable, "tools/repro.py", *words]
    runner = subprocess.Popen(command, cwd=folder, **options)
    try:
        if runner.wait():
            sys.exit(runner.returncode)
    except KeyboardInterrupt:
        runner.terminate()
        runner.wait()
        raise


def read_hashes(folder: Path, stage: str | None = None, **revision) -> dict[str, str]:
    """Read path and hash of each output of `stage`, or of all, from dvc.lock."""
    lock = YAML(typ="safe").load(DVCFileSystem(str(folder), **revision).read_text("dvc.lock"))
    return {
        out["path"]: out["md5"]
        for name, entry in lock["stages"].items()
        if stage in (None, name, name.split("@")[0])
        for out in entry["outs"]
    }


def read_metrics(folder: Path, paths: Iterable[str], **revision) -> pd.Series:
    """Read numbers, named as in `metrics/train_cnn.json:test_accuracy`, from JSON in `paths`."""
    files, numbers = DVCFileSystem(str(folder), **revision), {}
    for path in paths:
        if path.startswith("metrics/"):
            [values] = pd.json_normalize(json.loads(files.read_text(path))).to_dict("records")
            numbers |= {f"{path}:{name}": value for name, value in values.items()}
    return pd.to_numeric(pd.Series(numbers, dtype=object), errors="coerce")


def list_seeds(revisions: list[str]) -> pd.DataFrame:
    """List metric, seed and value of `revisions`, each trained with another seed. The sweep's
    seeds are its replicates. What the report derives from the others is left out."""
    rows = []
    for seed, revision in enumerate(revisions):
        hashes = read_hashes(ROOT, rev=revision)
        for name, value in read_metrics(ROOT, hashes, rev=revision).items():
            cell = re.search(REPLICATE, name)
            if not cell and not name.startswith(DERIVED):
                rows.append((name, seed, value))
            elif cell and seed == 0:
                rows.append((re.sub(REPLICATE, ".json:", name), int(cell[1]), value))
    return pd.DataFrame(rows, columns=["metric", "seed", "value"])


def measure_distances(before: pd.Series, after: pd.Series, seeds: pd.DataFrame) -> pd.Series:
    """Divide the differences of measured metrics by their deviations between `seeds`."""
    before = before[~before.index.str.startswith(DERIVED)]
    deviations = seeds.groupby("metric").value.std()
    # Of all noise levels the largest: one alone says too little.
    largest = deviations.groupby(lambda name: re.sub(LEVEL, "", name)).max()
    kinds = [re.sub(LEVEL, "", re.sub(REPLICATE, ".json:", name)) for name in before.index]
    spread = largest.reindex(kinds).fillna(0).clip(lower=SMALLEST).set_axis(before.index)
    return ((after.reindex(before.index) - before).abs() / spread).fillna(math.inf)


def verify(folder: Path, stage: str | None) -> str:
    """Retrain the last commit in `folder`, all or `stage` with what it needs; print a row for
    each output, and return the verdict."""
    seeds = pd.read_csv(ROOT / "measured" / "seeds.csv")
    hashes = read_hashes(ROOT, stage, rev="HEAD")
    before = read_metrics(ROOT, hashes, rev="HEAD")
    if not hashes:
        sys.exit(f"error: STAGE={stage}: no such stage; `dvc stage list` names them")
    git("clone", "--quiet", "--no-local", str(ROOT), str(folder))
    # Else DVC takes them for made. An empty cache has nothing to restore them from.
    git("rm", "-rq", "--ignore-unmatch", "dvc.lock", *read_hashes(ROOT, rev="HEAD"), folder=folder)
    subprocess.run([*DVC, "cache", "dir", "--local", ".dvc/cache"], cwd=folder, check=True)
    run_study(folder, *([stage] if stage else []))
    made = read_hashes(folder, stage)
    distances = measure_distances(before, after := read_metrics(folder, made), seeds)
    print("| output | verdict | largest difference |\n| --- | --- | --- |")
    for path, digest in hashes.items():
        own = distances[distances.index.str.startswith(f"{path}:")]
        verdict, detail = "same bytes" if made.get(path) == digest else "other bytes", ""
        if verdict == "other bytes" and len(own):
            worst = own.idxmax()
            verdict = "like another seed" if own.max() <= LIMIT else "differs"
            detail = f"{worst.split(':')[1]}: {before[worst]:g} committed, {after.get(worst):g}"
            detail += f" computed ({own.max():.2g} deviations)"
        print(f"| {path} | {verdict} | {detail} |")
    if made == hashes:
        return "same bytes"
    # If bytes differ but no number does, the processor is not the reason.
    return "like another seed" if 0 < distances.max() <= LIMIT else "differs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", help="only this stage, after those that it depends on")
    parser.add_argument("--keep", type=Path, help="a new folder for the clone, which then stays")
    parser.add_argument("--seeds", nargs="+", metavar="REVISION", help="print measured/seeds.csv")
    arguments = parser.parse_args()
    if arguments.seeds:
        print(list_seeds(arguments.seeds).to_csv(index=False), end="")
        return
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        verdict = verify((arguments.keep or Path(folder, "clone")).absolute(), arguments.stage)
    print(f"\n{verdict}")
    sys.exit(verdict == "differs")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("error: interrupted")
