"""Add finished runs to measured/runs.csv, for instance of other seeds.

A row of the same recipe, seed, stage, measure and level is replaced.
"""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

import pandas as pd
from dvc.api import DVCFileSystem
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parent.parent / "stages"))

from common.data import write_csv

ROOT = Path(__file__).resolve().parent.parent
RUNS = Path("measured/runs.csv")
KEYS = ["recipe", "seed", "stage", "measure", "level"]  # of a row; the other column is its value
SWEEP = ["validation_accuracy", "test_accuracy"]


def read_run(files: DVCFileSystem, recipe: str) -> pd.DataFrame:
    """Read a run's numbers, a row for each, with the columns KEYS and value.

    A stage without results has no rows. The level is an L2 factor or a noise level, else NaN.
    """
    params = YAML(typ="safe").load(files.read_text("params.yaml"))
    rows = []
    for stage in ("train_mlp", "train_cnn", "train_ae"):
        if files.exists(path := f"metrics/{stage}.json"):
            last = pd.read_csv(files.open(f"plots/{stage}/history.csv")).iloc[-1].drop("epoch")
            numbers = last.to_dict() | json.loads(files.read_text(path))
            key = {"stage": stage, "seed": params[stage]["seed"]}
            rows += [key | {"measure": name, "value": numbers[name]} for name in numbers]
    for path in files.glob("metrics/sweep_l2/*.json"):
        with contextlib.suppress(FileNotFoundError):  # DVC lists cells that have not run, too
            cell = json.loads(files.read_text(path))
            key = {"stage": "sweep_l2", "seed": cell["replicate"], "level": cell["factor"]}
            rows += [key | {"measure": name, "value": cell[name]} for name in SWEEP]
    if files.exists(path := "plots/eval_noise/rates.csv"):
        counts = pd.read_csv(files.open(path)).groupby(["noise_level", "kind"])
        key = {"stage": "eval_noise", "seed": params["eval_noise"]["seed"]}
        for (level, kind), images in counts[["images", "recognised"]].sum().iterrows():
            rate = images.recognised / images.images
            rows.append(key | {"measure": kind, "level": level, "value": rate})
    return pd.DataFrame(rows, columns=[*KEYS, "value"]).assign(recipe=recipe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", help="name in the table, such as published, tuned or robust")
    parser.add_argument("revisions", nargs="+", help="branches, experiments or commits")
    options = parser.parse_args()
    os.chdir(ROOT)
    runs = [
        read_run(DVCFileSystem(str(ROOT), rev=revision), options.recipe)
        for revision in options.revisions
    ]
    table = pd.concat([pd.read_csv(RUNS), *runs]).drop_duplicates(KEYS, keep="last")
    write_csv(RUNS, table.sort_values(KEYS))


if __name__ == "__main__":
    main()
