"""Add runs with other seeds to measured/.

Each revision has a run that is finished, and its results are in DVC's cache. A row of the same
recipe and seed is replaced.
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
STAGES = {"mlp": "train_mlp", "cnn": "train_cnn", "autoencoder": "train_ae"}
KEYS = {  # of a row, in each table; the other columns are numbers
    "trainings": ["recipe", "network", "seed"],
    "sweep": ["recipe", "factor", "replicate"],
    "noise": ["recipe", "seed", "classifier", "noise_level", "kind"],
}
COLUMNS = {
    "trainings": [
        f"{split}{name}" for split in ("", "validation_", "test_") for name in ("loss", "accuracy")
    ],
    "sweep": ["validation_accuracy", "test_accuracy"],
    "noise": ["rate"],
}


def read_numbers(files: DVCFileSystem, recipe: str) -> dict[str, pd.DataFrame]:
    """Read a run's numbers as tables of measured/.

    Stages without results have no rows.
    """
    params = YAML(typ="safe").load(files.read_text("params.yaml"))
    rows = {table: [] for table in KEYS}
    for network, stage in STAGES.items():
        if files.exists(path := f"metrics/{stage}.json"):
            history = pd.read_csv(files.open(f"plots/{stage}/history.csv"))
            seed = {"network": network, "seed": params[stage]["seed"]}
            last = history.iloc[-1].to_dict() | json.loads(files.read_text(path))
            rows["trainings"].append(seed | last)
    for path in files.glob("metrics/sweep_l2/*.json"):
        with contextlib.suppress(FileNotFoundError):  # DVC lists cells that have not run, too
            rows["sweep"].append(json.loads(files.read_text(path)))
    if files.exists(path := "plots/eval_noise/rates.csv"):
        images = pd.read_csv(files.open(path)).assign(seed=params["eval_noise"]["seed"])
        sums = images.groupby(KEYS["noise"][1:])[["recognised", "images"]].sum().reset_index()
        rows["noise"] = sums.assign(rate=sums.recognised / sums.images).to_dict("records")
    return {
        table: pd.DataFrame(rows[table], columns=KEYS[table][1:] + COLUMNS[table])
        .assign(recipe=recipe)
        .set_index(KEYS[table])
        for table in KEYS
    }


def read_measured(table: str) -> pd.DataFrame:
    """Read measured/`table`.csv, indexed by the keys of its rows."""
    return pd.read_csv(f"measured/{table}.csv").set_index(KEYS[table])


def list_numbers(table: str, numbers: pd.DataFrame) -> pd.DataFrame:
    """List numbers with their kind, in words.

    Those of one kind differ in seed or replicate.
    """
    kinds = [key for key in KEYS[table] if key not in ("seed", "replicate")]
    long = numbers.reset_index().melt(kinds, COLUMNS[table], "column").dropna()
    words = long[[*kinds, "column"]].astype(str).to_numpy()
    return long.assign(kind=[" ".join(row) for row in words])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", help="name in the tables: published, tuned or robust")
    parser.add_argument("revisions", nargs="+", help="branches, experiments or commits")
    options = parser.parse_args()
    os.chdir(ROOT)
    runs = [
        read_numbers(DVCFileSystem(str(ROOT), rev=revision), options.recipe)
        for revision in options.revisions
    ]
    for table in KEYS:
        rows = pd.concat([read_measured(table), *(run[table] for run in runs)])
        rows = rows[~rows.index.duplicated(keep="last")].sort_index()
        write_csv(f"measured/{table}.csv", rows.reset_index())


if __name__ == "__main__":
    main()
