"""Tell the study with this run's numbers, each published one beside it."""

import shutil
import sys
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from common import data, networks
from common.params import Distinct, Params, Threads, read_file
from common.rates import noise_curve
from common.runtime import set_up
from reporting import page, results, tables
from reporting.inputs import Study, read_study
from reporting.playground import pack

LABELS = {"cnn": "CNN", "mlp": "Perceptron"}  # what the page calls its classifiers


class ReportParams(Params):
    """Parameters of the report: what the images show."""

    section: ClassVar = "report"
    shared: ClassVar = ("threads",)

    dataset: str = Field(min_length=1, description="name of the data set")
    item: str = Field(min_length=1, description="what an image shows")
    classes: Distinct[str] | None = Field(description="names of the classes, null for 0, 1, …")
    threads: Threads


class GridParams(Params):
    """Parameters of the sweep's cells."""

    section: ClassVar = "sweep_l2.grid"

    factors: Distinct[Annotated[float, Field(ge=0, le=1)]] = Field(description="L2 factors")
    replicates: Distinct[Annotated[int, Field(ge=0)]] = Field(
        description="numbers of the repetitions"
    )


def name_cells(grid: dict) -> dict[str, tuple]:
    """Name the sweep's cells as DVC does: 0 is not 0.0."""
    return {
        f"{factor}-{replicate}": (factor, replicate)
        for factor in grid["factors"]
        for replicate in grid["replicates"]
    }


def remove_other_cells(cells: dict[str, tuple]) -> None:
    """Remove the files of cells that have left the grid.

    They are another stage's, but no stage of theirs is left to do it: DVC forgets a cell together
    with its parameters. A clone has no such files, and both must look alike. DVC's cache keeps
    them.
    """
    for pattern in "metrics/sweep_l2/*.json", "plots/sweep_l2/*.csv":
        for path in Path().glob(pattern):
            if path.stem not in cells:
                path.unlink()


def pack_page(study: Study) -> dict[str, dict]:
    """Pack what the page's playground and reading test need."""
    report, models = study.parameters["report"], study.models
    classifiers = {label: models[name] for name, label in LABELS.items()}
    if report["dataset"] == "MNIST":
        classifiers["CNN trained on noise"] = networks.load("robust_cnn", Path("measured"))
    curve = noise_curve(study.counts)
    name = study.parameters["eval_noise"]["classifier"]
    reader = LABELS.get(name, name)
    curves = {reader: curve.noisy, f"{reader} after denoising": curve.denoised}
    images, labels, classes = study.images, study.labels, study.classes
    return {
        "playground": pack.pack_playground(
            classifiers, models["autoencoder"], images, labels, classes, report["dataset"]
        ),
        "reading": pack.pack_reading(images, labels, classes, curves, report["item"]),
    }


def write_text(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # it may be a link into DVC's cache
    path.write_text(text, encoding="utf-8", newline="\n")


def main(params: ReportParams) -> None:
    set_up(0, params.threads)
    parameters = read_file()
    cells = name_cells(parameters["sweep_l2"]["grid"])
    images, labels = data.load("test")
    if params.classes and len(params.classes) != labels.shape[1]:
        names, count = len(params.classes), labels.shape[1]
        sys.exit(f"error: report.classes: {names} names, for {count} classes")
    models = {name: networks.load(name) for name in ("mlp", "cnn", "autoencoder")}
    study = read_study(parameters, cells, models, images, labels)
    # All is worked out before the first file is written.
    numbers = results.work_out(study)
    text, drawn = page.write(study, numbers)
    drawings = {name: svg for name, (_, svg) in drawn.items()}
    rendered = page.render(text, drawings, list(study.pixels), **pack_page(study))
    shutil.rmtree(page.FOLDER, ignore_errors=True)
    for name, table in tables.files(study).items():
        data.write_csv(page.FOLDER / f"{name}.csv", table)
    for name, (png, _) in drawn.items():
        (page.FOLDER / f"{name}.png").write_bytes(png)
    data.write_json(page.FOLDER / "results.json", results.flatten(numbers))
    accuracy = float(numbers["decay"]["test_accuracy"])
    data.write_json("metrics/sweep_l2.json", {"test_accuracy": accuracy})
    write_text(Path("report.md"), text)
    write_text(Path("report.html"), rendered)
    remove_other_cells(cells)


if __name__ == "__main__":
    GridParams.load()
    main(ReportParams.load())
