"""A project in which all stages but `report` have run, with made-up numbers and no training."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Project
from ruamel.yaml import YAML

import report
import train_ae
import train_cnn
import train_mlp
from common.data import write_csv, write_json
from common.rates import KINDS


def made_up_project(folder: Path, images: int = 60, **changes) -> Project:
    """Write a project with the published recipe, some of its parameters changed.

    The test has `images` images, with labels that take turns.
    """
    for name in "stages", "published", "measured", "recipes":
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "versions.txt", folder)
    shutil.copy2(ROOT / "recipes/published.yaml", folder / "params.yaml")
    project = Project(folder)
    project.change(**changes)
    classes = len(project.parameters["report"]["classes"] or range(10))
    write_images(folder, np.arange(images) % classes, classes)
    write_sweep(folder, project.parameters["sweep_l2"]["grid"])
    write_noise(folder, project.parameters["eval_noise"])
    for stage in "train_mlp", "train_cnn", "train_ae":
        write_training(folder, stage, project.parameters[stage]["epochs"])
    write_networks(folder, classes)
    return project


def write_images(folder: Path, labels: np.ndarray, classes: int) -> None:
    test = folder / "data/processed/test"
    test.mkdir(parents=True)
    images = np.random.default_rng(0).random((len(labels), 28, 28, 1), np.float32)
    np.save(test / "images.npy", images)
    np.save(test / "labels.npy", np.eye(classes, dtype=np.float32)[labels])
    sizes = {"training_images": 100, "validation_images": len(labels), "test_images": len(labels)}
    write_json(folder / "data/processed/sizes.json", sizes)
    predictions = pd.DataFrame({"image": range(len(labels)), "actual": labels})
    predictions["predicted"] = (labels + (predictions.image % 5 == 0)) % classes
    write_csv(folder / "plots/train_cnn/predictions.csv", predictions.assign(probability=0.9))


def write_training(folder: Path, stage: str, epochs: int) -> None:
    table = pd.DataFrame({"epoch": range(1, epochs + 1)})
    table["loss"] = table["validation_loss"] = 1 / table.epoch
    scores = {"validation_loss": 1 / epochs}
    if stage != "train_ae":
        table["accuracy"] = table["validation_accuracy"] = 1 - 0.5 / table.epoch
        scores = {"test_loss": 1 / epochs, "test_accuracy": 1 - 0.5 / epochs}
    write_csv(folder / f"plots/{stage}/history.csv", table)
    write_json(folder / f"metrics/{stage}.json", scores)


def write_sweep(folder: Path, grid: dict) -> None:
    cells = itertools.product(grid["factors"], grid["replicates"])
    for number, (factor, replicate) in enumerate(cells):
        accuracies = {"validation_accuracy": 0.9 + number / 1e3, "test_accuracy": 0.9}
        cell = {"factor": factor, "replicate": replicate, "parameters": 545810} | accuracies
        write_json(folder / f"metrics/sweep_l2/{factor}-{replicate}.json", cell)
        history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "accuracy": 0.9})
        write_csv(folder / f"plots/sweep_l2/{factor}-{replicate}.csv", history)


def write_noise(folder: Path, params: dict) -> None:
    """Write what eval_noise does; the better kinds fall later, and each draw lies a bit lower."""
    labels = np.load(folder / "data/processed/test/labels.npy")
    images = labels.sum(axis=0).astype(int)
    rates, likeness, examples = [], [], []
    for level, (better, kind) in itertools.product(params["noise_levels"], enumerate(KINDS)):
        context = {"noise_level": level, "kind": kind}
        for draw in range(params["draws"] if level else 1):
            rate = max(0.1, 1 - level ** (better + 1) - draw / 50)
            recognised = (images * rate).round().astype(int)
            counts = {"label": range(len(images)), "images": images, "recognised": recognised}
            answered = recognised.copy()
            answered[-1] += images.sum() - recognised.sum()  # all others: the last class
            rates.append(pd.DataFrame({"draw": draw, **context, **counts, "answered": answered}))
            likeness.append({"draw": draw, **context, "ssim": 1 - level, "psnr": 10 - 10 * level})
        read = pd.DataFrame({"image": params["examples"], "actual": 1, "probability": 0.5})
        examples.append(read.assign(**context, predicted=read.index % 2))
    write_csv(folder / "plots/eval_noise/rates.csv", pd.concat(rates))
    write_csv(folder / "plots/eval_noise/reconstruction.csv", pd.DataFrame(likeness))
    write_csv(folder / "plots/eval_noise/examples.csv", pd.concat(examples))
    shape = len(params["noise_levels"]), 4, len(params["examples"]), 28, 28
    np.save(folder / "plots/eval_noise/pixels.npy", np.zeros(shape, np.uint8))
    findings = {"helps_from": 0.2, "helps_to": 0.9, "half_at": 0.7}
    write_json(folder / "metrics/eval_noise.json", findings)


def write_networks(folder: Path, classes: int) -> None:
    """Write the networks as they are before training."""
    models = folder / "models"
    models.mkdir()
    shape = (28, 28, 1)
    built = {
        "mlp": (train_mlp.build(shape, classes), "categorical_crossentropy"),
        "cnn": (train_cnn.build(shape, classes, 0.5), "categorical_crossentropy"),
        "autoencoder": (train_ae.build((784,)), "binary_crossentropy"),
    }
    for name, (model, loss) in built.items():
        model.compile("sgd", loss)
        model.save(models / f"{name}.keras")


def render(project: Project) -> None:
    """Make the report of a project in this process, which the fixture `tensorflow` has set up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        report.main(report.ReportParams.read())


def read_results(project: Project) -> dict:
    """Return plots/report/results.json."""
    return YAML(typ="safe").load(project.folder / "plots/report/results.json")
