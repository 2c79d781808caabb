"""Figures: drawn for any study, also of little; colours and DVC's templates agree."""

import inspect
import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from made_up import made_up_project

from common import data, networks
from report import name_cells
from reporting import figures, plotting
from reporting.inputs import Study, read_study

FIGURES = [
    name
    for name, function in inspect.getmembers(figures, inspect.isfunction)
    if list(inspect.signature(function).parameters) == ["study"]
    and "Figure" in str(inspect.signature(function).return_annotation)
]


@pytest.fixture(scope="module")
def study(tensorflow, tmp_path_factory) -> Study:
    """Read a made-up study of the published recipe."""
    project = made_up_project(tmp_path_factory.mktemp("study"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        models = {name: networks.load(name) for name in ("mlp", "cnn", "autoencoder")}
        cells = name_cells(project.parameters["sweep_l2"]["grid"])
        return read_study(project.parameters, cells, models, *data.load("test"))


def keep_little(study: Study) -> Study:
    """Keep one of each: class with images, level, training, epoch, mistake; nothing published."""
    level = study.counts[study.counts.noise_level == 1]
    counted = ["images", "recognised", "answered"]
    counts = level.assign(**{name: level[name] * (level.label == 3) for name in counted})
    tables = {name: getattr(study, name).head(0) for name in ("numbers", "notebook", "runs")}
    return replace(
        study,
        **tables,
        logs={name: log.head(0) for name, log in study.logs.items()},
        histories={name: log.head(1) for name, log in study.histories.items()},
        counts=counts,
        cells=study.cells.head(1),
        predictions=study.predictions.head(1),
        classes=list("おきすつなはまやれを"),
    )


def lengthen_names(study: Study) -> Study:
    return replace(study, classes=["Ankle boot or T-shirt"] * 10)


@pytest.mark.parametrize("change", [replace, keep_little, lengthen_names])
def test_figures_fit_and_can_be_read_on_a_phone(study, change):
    changed = change(study)
    assert len(FIGURES) > 8
    # Without published numbers, their section is left out.
    for name in [name for name in FIGURES if name != "published" or len(changed.numbers)]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a layout that does not fit is a warning
            figure = getattr(figures, name)(changed)
            png, svg = plotting.export(figure, name)
        assert len(png) < 200_000
        drawn, size = figure.get_tightbbox(), figure.get_size_inches()
        assert np.all(drawn.min >= -0.05) and np.all(drawn.max <= size + 0.05), f"{name} is cut off"
        width = float(re.search(r'viewBox="0 0 (\S+)', svg)[1])
        sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
        assert min(sizes) * 358 / width >= 11, name


def test_many_classes_have_no_room_for_numbers(study):
    figure = figures.confusion(replace(study, classes=[f"Name {number}" for number in range(26)]))
    assert len(figure.axes[0].get_yticks()) == 26
    assert len(figure.axes[0].texts) == 0


@pytest.mark.parametrize("template", ["curves", "rates"])
def test_dvc_plots_have_the_colours_of_the_report_and_dashes_for_revisions(template):
    content = (ROOT / f".dvc/plots/{template}.json").read_text(encoding="utf-8")
    encoding = json.loads(content)["layer"][0]["encoding"]
    scale = encoding["color"]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    assert len(colours) >= 2
    assert colours == {series: figures.COLOURS[series] for series in colours}
    dashes = encoding["strokeDash"]
    assert dashes["field"] == "rev"
    assert len(set(map(tuple, dashes["scale"]["range"]))) >= 3
