"""A project in which all stages but `report` have run, with made-up numbers and no training."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Project, read_yaml

import report
import train_ae
import train_cnn
import train_mlp
from common.data import write_csv, write_json
from common.rates import KINDS


def made_up_project(folder: Path, images: int = 60, **changes) -> Project:
    """Write a project with the published recipe, some of its parameters changed."""
    for name in "stages", "published", "measured", "recipes":
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "versions.txt", folder)
    shutil.copy2(ROOT / "recipes/published.yaml", folder / "params.yaml")
    project = Project(folder)
    project.change(**changes)
    parameters = project.parameters
    classes = len(parameters["report"]["classes"] or range(10))
    labels = np.arange(images) % classes
    write_images(folder, labels, classes)
    write_sweep(folder, parameters["sweep_l2"]["grid"])
    write_noise(folder, np.bincount(labels, minlength=classes), parameters["eval_noise"])
    for stage in "train_mlp", "train_cnn", "train_ae":
        write_training(folder, stage, parameters[stage]["epochs"])
    write_networks(folder, classes)
    return project


def write_images(folder: Path, labels: np.ndarray, classes: int) -> None:
    """Write the test images, of which the CNN misreads every fifth."""
    test = folder / "data/processed/test"
    test.mkdir(parents=True)
    images = np.random.default_rng(0).random((len(labels), 28, 28, 1), np.float32)
    np.save(test / "images.npy", images)
    np.save(test / "labels.npy", np.eye(classes, dtype=np.float32)[labels])
    sizes = {"training_images": 100, "validation_images": len(labels), "test_images": len(labels)}
    write_json(folder / "data/processed/sizes.json", sizes)
    predictions = pd.DataFrame({"image": range(len(labels)), "actual": labels, "probability": 0.9})
    predictions["predicted"] = (labels + (predictions.image % 5 == 0)) % classes
    write_csv(folder / "plots/train_cnn/predictions.csv", predictions)


def write_training(folder: Path, stage: str, epochs: int) -> None:
    history = pd.DataFrame({"epoch": range(1, epochs + 1)})
    scores = {}
    for measure in ["loss"] if stage == "train_ae" else ["loss", "accuracy"]:
        history[measure] = history[f"validation_{measure}"] = 1 - 0.5 / history.epoch
        scores |= {f"validation_{measure}": 0.9, f"test_{measure}": 0.9}
    write_csv(folder / f"plots/{stage}/history.csv", history)
    write_json(folder / f"metrics/{stage}.json", scores)


def write_sweep(folder: Path, grid: dict) -> None:
    cells = itertools.product(grid["factors"], grid["replicates"])
    for number, (factor, replicate) in enumerate(cells):
        accuracies = {"validation_accuracy": 0.9 + number / 1e3, "test_accuracy": 0.9}
        cell = {"factor": factor, "replicate": replicate, "parameters": 545810} | accuracies
        write_json(folder / f"metrics/sweep_l2/{factor}-{replicate}.json", cell)
        history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "accuracy": 0.9})
        write_csv(folder / f"plots/sweep_l2/{factor}-{replicate}.csv", history)


def write_noise(folder: Path, images: np.ndarray, params: dict) -> None:
    """Write what eval_noise does; the better kinds fall later, and each draw lies a bit lower."""
    levels, draws = params["noise_levels"], range(params["draws"])
    rows = itertools.product(levels, draws, KINDS, range(len(images)))
    rates = pd.DataFrame(rows, columns=["noise_level", "draw", "kind", "label"])
    better = rates.kind.map(KINDS.index) + 1
    shares = (1 - rates.noise_level**better - rates.draw / 50).clip(lower=0.1)
    rates["images"] = images[rates.label]
    rates["recognised"] = rates["answered"] = (rates.images * shares).round().astype(int)
    likeness = rates[["noise_level", "draw", "kind"]].drop_duplicates()
    likeness = likeness.assign(ssim=1 - likeness.noise_level, psnr=10 - 10 * likeness.noise_level)
    rows = itertools.product(levels, params["examples"], KINDS)
    read = pd.DataFrame(rows, columns=["noise_level", "image", "kind"])
    read = read.assign(actual=1, predicted=read.image % 2, probability=0.5)
    for name, table in ("rates", rates), ("reconstruction", likeness), ("examples", read):
        write_csv(folder / f"plots/eval_noise/{name}.csv", table)
    pixels = np.zeros((len(levels), 4, len(params["examples"]), 28, 28), np.uint8)
    np.save(folder / "plots/eval_noise/pixels.npy", pixels)
    findings = {"helps_from": 0.2, "helps_to": 0.9, "half_at": 0.7}
    write_json(folder / "metrics/eval_noise.json", findings)


def write_networks(folder: Path, classes: int) -> None:
    """Write the networks as they are before training."""
    (folder / "models").mkdir()
    shape = (28, 28, 1)
    mlp, cnn = train_mlp.build(shape, classes), train_cnn.build(shape, classes, 0.5)
    for model, name in (mlp, "mlp"), (cnn, "cnn"), (train_ae.build(shape), "autoencoder"):
        model.compile("sgd", "mse")
        model.save(folder / f"models/{name}.keras")


def render(project: Project) -> None:
    """Make the report of a project in this process, which the fixture `tensorflow` has set up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        report.main(report.ReportParams.read())


def read_results(project: Project) -> dict:
    return read_yaml(project.folder / "plots/report/results.json")
