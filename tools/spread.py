"""What the study measured on several branches, with mean and standard deviation: a Markdown table.

For branches that differ in their seeds only.
"""

import argparse
import statistics
import sys
from pathlib import Path

import dvc.api
from dvc.exceptions import DvcException

ROOT = Path(__file__).resolve().parent.parent
# What a recipe is judged by: metrics file, and the place in it.
METRICS = {
    "metrics/report.json": [
        "flattery.expected",
        "flattery.luckiest",
        "flattery.by_training",
        "flattery.by_epoch",
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


def spread(revisions: list[str]) -> list[list[str]]:
    """The rows of the table: metric, its value on each of the Git `revisions`, their mean and
    sample standard deviation (ddof=1). Raises DvcException for a revision that is none."""
    rows = []
    for path, places in METRICS.items():
        measured = [dvc.api.metrics_show(path, repo=str(ROOT), rev=each) for each in revisions]
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
    try:
        rows = spread(revisions)
    except DvcException as error:
        sys.exit(f"error: {error}")
    for row in (["metric", *revisions, "mean", "std"], ["---"] * (len(revisions) + 3), *rows):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
