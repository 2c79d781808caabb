"""What the study measured on several branches, with mean and standard deviation: a Markdown table.

For branches that differ in the seeds of the CNN and the autoencoder only; the sweep has its
replicates, and their spread, within a branch (`flattery` in metrics/report.json).
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What these two are judged by: metrics file, and the place in it.
METRICS = {
    "metrics/report.json": [
        "noise.denoising_costs_on_clean",
        "noise.denoising_helps_from",
        "noise.denoised_rate_below_half_at",
    ],
    "metrics/train_cnn.json": ["validation_accuracy", "test_accuracy"],
}


def look_up(values: dict, place: str):
    """The value at the dotted `place` of nested `values`."""
    for name in place.split("."):
        values = values[name]
    return values


def read(path: str, revision: str) -> dict:
    """The metrics file `path` as it is in Git at `revision`. Ends the process where it is not."""
    command = ["git", "show", f"{revision}:{path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {done.stderr.splitlines()[0]}")
    return json.loads(done.stdout)


def spread(revisions: list[str]) -> list[list[str]]:
    """The rows of the table: metric, its value on each of the Git `revisions`, their mean and
    sample standard deviation (ddof=1)."""
    rows = []
    for path, places in METRICS.items():
        measured = [read(path, revision) for revision in revisions]
        for place in places:
            values = [look_up(each, place) for each in measured]
            if None in values:  # such as a rate that never falls below one half
                summary = ["", ""]
            else:
                summary = [f"{statistics.mean(values):.4f}", f"{statistics.stdev(values):.4f}"]
            shown = ["none" if value is None else f"{value:.4f}" for value in values]
            rows.append([f"{Path(path).stem} {place}", *shown, *summary])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revisions", nargs="+", metavar="BRANCH", help="two or more")
    revisions = parser.parse_args().revisions
    if len(revisions) < 2:
        parser.error("a spread needs two branches or more")
    head = [["metric", *revisions, "mean", "std"], ["---"] * (len(revisions) + 3)]
    for row in head + spread(revisions):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
