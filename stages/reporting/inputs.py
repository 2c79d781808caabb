"""What the report rests on: this run, the published study, and other seeds."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

STAGES = {"mlp": "train_mlp", "cnn": "train_cnn", "autoencoder": "train_ae"}


@dataclass(frozen=True)
class Study:
    """A run, the published study, and other seeds; tables are as in their files.

    Where the images are not MNIST's, tables of the published study and of seeds have no rows.
    """

    parameters: dict  # params.yaml
    recipe: dict  # recipes/published.yaml
    versions: pd.DataFrame
    sizes: dict  # data/processed/sizes.json
    classes: list[str]  # their names
    images: np.ndarray  # of the test
    labels: np.ndarray
    models: dict  # Keras networks: mlp, cnn, autoencoder
    histories: dict[str, pd.DataFrame]
    scores: dict[str, dict]  # metrics of the networks
    cells: pd.DataFrame  # trainings of the sweep, by factor and replicate
    cell_histories: pd.DataFrame
    counts: pd.DataFrame
    reconstruction: pd.DataFrame
    examples: pd.DataFrame
    pixels: dict[float, np.ndarray]  # (kinds, examples, side, side), by noise level
    helps: dict  # metrics/eval_noise.json
    predictions: pd.DataFrame
    numbers: pd.DataFrame
    logs: dict[str, pd.DataFrame]
    notebook: pd.DataFrame  # indexed by noise level
    runs: pd.DataFrame  # of the published recipe


def read_json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_cells(cells: dict[str, tuple]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the sweep, by factor and replicate: a row for each training, and for each epoch."""
    rows, histories = [], []
    for name, (factor, _) in sorted(cells.items(), key=lambda cell: cell[1]):
        rows.append(read_json(f"metrics/sweep_l2/{name}.json"))
        histories.append(pd.read_csv(f"plots/sweep_l2/{name}.csv").assign(factor=factor))
    return pd.DataFrame(rows), pd.concat(histories)


def read_study(parameters: dict, cells: dict, models: dict, images, labels) -> Study:
    """Read what the stages left, the published study, and other seeds."""
    published, noise = Path("published"), Path("plots/eval_noise")
    known = None if parameters["report"]["dataset"] == "MNIST" else 0  # rows; None: all
    runs = pd.read_csv("measured/runs.csv", nrows=known)
    levels = parameters["eval_noise"]["noise_levels"]
    sweep, sweep_histories = read_cells(cells)
    return Study(
        parameters=parameters,
        recipe=YAML(typ="safe").load(Path("recipes/published.yaml")),
        versions=pd.read_csv(
            "versions.txt", sep="==", names=["package", "version"], engine="python"
        ),
        sizes=read_json("data/processed/sizes.json"),
        classes=parameters["report"]["classes"] or [str(label) for label in range(labels.shape[1])],
        images=images,
        labels=labels,
        models=models,
        histories={
            name: pd.read_csv(f"plots/{stage}/history.csv") for name, stage in STAGES.items()
        },
        scores={name: read_json(f"metrics/{stage}.json") for name, stage in STAGES.items()},
        cells=sweep,
        cell_histories=sweep_histories,
        counts=pd.read_csv(noise / "rates.csv"),
        reconstruction=pd.read_csv(noise / "reconstruction.csv"),
        examples=pd.read_csv(noise / "examples.csv"),
        pixels=dict(sorted(zip(map(float, levels), np.load(noise / "pixels.npy"), strict=True))),
        helps=read_json("metrics/eval_noise.json"),
        predictions=pd.read_csv("plots/train_cnn/predictions.csv"),
        numbers=pd.read_csv(published / "numbers.csv", nrows=known),
        logs={
            path.stem: pd.read_csv(path, nrows=known) for path in published.glob("*_history*.csv")
        },
        notebook=pd.read_csv(published / "notebook_rerun_noise.csv", index_col=0, nrows=known),
        runs=runs[runs.recipe == "published"],
    )
