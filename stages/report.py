"""Tell the study with this run's numbers, each published one beside it."""

import itertools
import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from ruamel.yaml import YAML

from common import data, networks
from common.params import Distinct, Params, Threads, read_file
from common.rates import KINDS
from common.runtime import set_up
from reporting import figures, page, text
from reporting.denoising import TRAINED
from reporting.findings import Findings, analyse, summarise_sweep
from reporting.networks import describe_layers
from reporting.playground import pack as browser
from reporting.study import SECTIONS, Network, Study
from reporting.words import name_loss


class ReportParams(Params):
    """Parameters of the report: what the images show."""

    dataset: str = Field(min_length=1, description="name of the data set")
    item: str = Field(min_length=1, description="what an image shows")
    classes: Distinct[str] | None = Field(description="names of the classes, null for 0, 1, …")
    threads: Threads


class GridParams(Params):
    """Parameters of the sweep's cells."""

    factors: Distinct[Annotated[float, Field(ge=0, le=1)]] = Field(description="L2 factors")
    replicates: Distinct[Annotated[int, Field(ge=0)]] = Field(
        description="numbers of the repetitions"
    )


def read_json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_cells(names: dict[str, tuple]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the sweep: a row for each training, and for each epoch."""
    cells = pd.DataFrame([read_json(f"metrics/sweep_l2/{name}.json") for name in names])
    histories = [
        pd.read_csv(f"plots/sweep_l2/{name}.csv").assign(factor=factor)
        for name, (factor, _) in names.items()
    ]
    return cells, pd.concat(histories)


def remove_other_cells(names: dict[str, tuple]) -> None:
    """Remove the files of cells that have left the grid.

    They are another stage's, but no stage of theirs is left to do it: DVC forgets a cell together
    with its parameters. A clone has no such files, and both must look alike. DVC's cache keeps
    them.
    """
    for pattern in "metrics/sweep_l2/*.json", "plots/sweep_l2/*.csv":
        for path in Path().glob(pattern):
            if path.stem not in names:
                path.unlink()


def read_network(name: str, model) -> Network:
    """Gather what is known of a trained network, a Keras `model`."""
    stage = SECTIONS[name]
    history = pd.read_csv(f"plots/{stage}/history.csv")
    last = history.iloc[-1].drop("epoch").to_dict()
    return Network(
        layers=describe_layers(model),
        parameters=model.count_params(),
        inputs=model.input_shape[1:],
        **read_json(f"models/{name}.json"),
        history=history,
        scores=last | read_json(f"metrics/{stage}.json"),
    )


def read_study(
    params: ReportParams,
    everything: dict,
    names: dict[str, tuple],
    models: dict,
    images: np.ndarray,
    labels: np.ndarray,
) -> Study:
    """Read what the stages left, the published study, and other seeds."""
    classes = params.classes or [str(number) for number in range(labels.shape[1])]
    if len(classes) != labels.shape[1]:
        sys.exit(f"error: report.classes: {len(classes)} names, for {labels.shape[1]} classes")
    cells, cell_histories = read_cells(names)
    published, measured, noise = Path("published"), Path("measured"), Path("plots/eval_noise")
    return Study(
        # Where the images come from has no influence: the same bytes in any case.
        parameters={name: section for name, section in everything.items() if name != "fetch"},
        versions=pd.read_csv(
            "versions.txt", sep="==", names=["package", "version"], engine="python"
        ),
        sizes=read_json("data/processed/sizes.json"),
        image=images.shape[1:],
        classes=classes,
        networks={name: read_network(name, models[name]) for name in ("mlp", "cnn", "autoencoder")},
        cells=cells,
        cell_histories=cell_histories,
        counts=pd.read_csv(noise / "rates.csv"),
        reconstruction=pd.read_csv(noise / "reconstruction.csv"),
        noise=read_json("metrics/eval_noise.json"),
        predictions=pd.read_csv("plots/train_cnn/predictions.csv"),
        numbers=pd.read_csv(published / "numbers.csv"),
        recipe=YAML(typ="safe").load(published / "recipe.yaml"),
        logs={path.stem: pd.read_csv(path) for path in sorted(published.glob("*_history*.csv"))},
        notebook=pd.read_csv(published / "notebook_rerun_noise.csv", index_col="noise_level"),
        trainings=pd.read_csv(measured / "trainings.csv"),
        sweeps=pd.read_csv(measured / "sweep.csv"),
        rates=pd.read_csv(measured / "noise.csv"),
    )


def show_levels(study: Study) -> dict[float, list[dict]]:
    """Gather the rows of figures 4 to 14, by rising level."""
    table = pd.read_csv("plots/eval_noise/examples.csv")
    table = table[table.classifier == study.first]
    pixels = np.load("plots/eval_noise/pixels.npy")
    levels = study.parameters["eval_noise"]["noise_levels"]
    shown = {}
    for level, kinds in sorted(zip(levels, pixels, strict=True), key=lambda pair: pair[0]):
        rows = []
        for kind, images in zip(("original", *KINDS), kinds, strict=True):
            read = table[(table.noise_level == level) & (table.kind == kind)]
            notes = [
                (
                    f"{study.classes[row.predicted]} ({row.probability:.2f})",
                    row.predicted != row.actual,
                )
                for row in read.itertuples()
            ]
            rows.append({"kind": kind, "pixels": images, "notes": notes})
        shown[float(level)] = rows
    return shown


def show_mistakes(worst: pd.DataFrame, images: np.ndarray) -> list[dict]:
    """Gather mistakes in rows of five, with what was taken for what."""
    pixels = np.rint(images[worst.image, ..., 0] * 255).astype(np.uint8)
    notes = [(note, False) for note in worst.note]
    rows = slice(5), slice(5, None)
    return [{"kind": "", "pixels": pixels[row], "notes": notes[row]} for row in rows]


def draw(study: Study, found: Findings, images: np.ndarray) -> dict[str, str]:
    """Write every figure of the report; return the drawings by name."""
    chance = 1 / len(study.classes)
    decay, noise, robust = found.decay, found.noise, found.robust
    drawings = {}

    def save(name: str, figure) -> None:
        drawings[name] = figures.save(figure, name)

    accuracies, losses = ["accuracy", "validation_accuracy"], ["loss", "validation_loss"]
    loss = name_loss(study.networks["autoencoder"].loss)
    for network, name, measures, label in (
        ("mlp", "figure_01_perceptron", accuracies, "accuracy"),
        ("cnn", "cnn", accuracies, "accuracy"),
        ("autoencoder", "autoencoder", losses, loss),
    ):
        own, published = study.networks[network].history, study.published_log(network)
        save(name, figures.history(own, published, measures, label))
    save("figure_02_sweep", figures.sweep(study.cells, decay.summary, decay.hinton))
    if decay.sweeps is not None:
        summary = summarise_sweep(decay.sweeps)
        save("replicates", figures.sweep(decay.sweeps, summary, decay.hinton))
    save("figure_03_autoencoder", figures.autoencoder(study.networks["autoencoder"].layers))
    for level, rows in show_levels(study).items():
        save(f"figures_04-14_noise_{level}", figures.digits(rows))
    save("figure_15_rates", figures.rates(noise.curve, noise.notebook, noise.band, chance))
    save("classes", figures.small_rates(noise.by_class, 5, chance))
    save("classifiers", figures.small_rates(robust.curves, 3, chance))
    save("mistakes", figures.digits(show_mistakes(found.convolution.worst, images)))
    save("confusion", figures.confusion(study.predictions, study.classes))
    if len(found.published.numbers):
        save("published", figures.published(found.published.numbers, found.published.others))
    return drawings


def tabulate(study: Study, found: Findings) -> dict[str, pd.DataFrame]:
    """Make the tables of plots/report, to compare branches by."""
    return {
        "sweep": found.decay.summary,
        "sweep_cells": study.cells,
        "noise": found.noise.table.reset_index(),
        "classes": found.noise.class_rates.reset_index(),
        "published_numbers": found.published.numbers,
        "published_logs": found.published.logs,
    }


def pack(study: Study, found: Findings, models: dict, images, labels) -> tuple[dict, dict]:
    """Pack what the page's playground and reading test need."""
    report, curves = study.parameters["report"], found.robust.curves
    shown = {label: models[name] for name, label in study.classifiers.items()}
    playground = browser.pack_playground(
        shown, models["autoencoder"], images, labels, study.classes, report["dataset"]
    )
    first = study.classifiers[study.first]
    readers = {name: curves[name].noisy for name in (first, TRAINED) if name in curves}
    return playground, browser.pack_reading(images, labels, study.classes, readers, report["item"])


def main(params: ReportParams) -> None:
    set_up(0, params.threads)
    everything = read_file()
    grid = everything["sweep_l2"]["grid"]
    # As DVC spells them: 0 is not 0.0.
    names = {f"{cell[0]}-{cell[1]}": cell for cell in itertools.product(*grid.values())}
    remove_other_cells(names)
    wanted = {"mlp", "cnn", "autoencoder", *everything["eval_noise"]["classifiers"]}
    models = {name: networks.load(name) for name in sorted(wanted)}
    images, labels = data.load("test")
    study = read_study(params, everything, names, models, images, labels)
    # All is worked out before the first file is written.
    found = analyse(study)
    written = text.write(study, found)
    playground, reading = pack(study, found, models, images, labels)
    tables = tabulate(study, found)
    drawings = draw(study, found, images)
    levels = found.noise.curve.index.tolist()
    rendered = page.render(written, drawings, levels, playground, reading)
    for name, table in tables.items():
        data.write_csv(figures.FOLDER / f"{name}.csv", table)
    data.write_json("metrics/sweep_l2.json", {"test_accuracy": found.decay.mean})
    for path, content in ((Path("report.md"), written), (Path("report.html"), rendered)):
        path.unlink(missing_ok=True)  # it may be a link into DVC's cache
        path.write_text(content, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    GridParams.load("sweep_l2.grid")
    main(ReportParams.load("report", "threads"))
