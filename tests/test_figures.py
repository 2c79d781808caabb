"""Figures: drawn for any study, the same in every run; colours and DVC's templates agree."""

import inspect
import json
import re
import shutil
import warnings
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import vl_convert
from browsing import assert_quiet, find_all, visit
from conftest import ROOT, Project, read_yaml
from made_up import made_up_project
from selenium.webdriver.support.wait import WebDriverWait

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
MANY = [f"Name {number}" for number in range(26)]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """Read a made-up study of the published recipe."""
    project = made_up_project(tmp_path_factory.mktemp("study"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        models = {name: networks.load(name) for name in ("mlp", "cnn", "autoencoder")}
        cells = name_cells(project.parameters["sweep_l2"]["grid"])
        return read_study(project.parameters, cells, models, *data.load("test"))


def without_published(study: Study) -> Study:
    tables = {name: getattr(study, name).head(0) for name in ("numbers", "notebook", "runs")}
    return replace(study, **tables, logs={name: log.head(0) for name, log in study.logs.items()})


def of_one_class(counts: pd.DataFrame) -> pd.DataFrame:
    counted = ["images", "recognised", "answered"]
    return counts.assign(**{name: counts[name] * (counts.label == 3) for name in counted})


# What a study may ask for.
STUDIES = {
    "published": lambda study: study,
    "nothing published": without_published,
    "long names": lambda study: replace(study, classes=["Ankle boot or T-shirt"] * 10),
    "no glyphs": lambda study: replace(study, classes=list("おきすつなはまやれを")),
    "one level": lambda study: replace(study, counts=study.counts[study.counts.noise_level == 1]),
    "one class has images": lambda study: replace(study, counts=of_one_class(study.counts)),
    "one training": lambda study: replace(study, cells=study.cells[:1]),
    "one epoch": lambda study: replace(
        study, histories={name: log[:1] for name, log in study.histories.items()}
    ),
    "one mistake": lambda study: replace(study, predictions=study.predictions[:1]),
}


@pytest.mark.parametrize("kind", STUDIES)
def test_figures_cope_with_what_a_study_may_ask_for(study, kind):
    asked = STUDIES[kind](study)
    assert len(FIGURES) > 8
    # Without published numbers, their section is left out.
    for name in [name for name in FIGURES if name != "published" or len(asked.numbers)]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a layout that does not fit is a warning
            figure = getattr(figures, name)(asked)
            png, svg = plotting.export(figure, name)
        assert len(png) < 200_000
        ElementTree.fromstring(svg)
        drawn, size = figure.get_tightbbox(), figure.get_size_inches()
        assert np.all(drawn.min >= -0.05) and np.all(drawn.max <= size + 0.05), f"{name} is cut off"


def test_no_text_is_too_small_on_a_phone(study):
    for name in FIGURES:
        _, svg = plotting.export(getattr(figures, name)(study), name)
        width = float(re.search(r'viewBox="0 0 (\S+)', svg)[1])
        sizes = [float(size) for size in re.findall(r"font: (?:\S+ )*?([\d.]+)px", svg)]
        assert min(sizes, default=12) * 358 / width >= 11, name


def test_same_study_gives_the_same_bytes(study):
    for name in FIGURES:
        first, second = (plotting.export(getattr(figures, name)(study), name) for _ in range(2))
        assert first == second


def test_confusion_has_a_row_for_each_class(study):
    figure = figures.confusion(replace(study, classes=MANY))
    assert len(figure.axes[0].get_yticks()) == 26
    assert len(figure.axes[0].texts) == 0, "no room for numbers"


# ---- dvc plots ----


@pytest.fixture(scope="module")
def plots(tmp_path_factory) -> Project:
    """Make a project of nothing but this one's plots, with made-up numbers in two versions."""
    project = Project(tmp_path_factory.mktemp("plots"))
    listed = read_yaml(ROOT / "dvc.yaml")["plots"]
    listed = [plot for plot in listed if isinstance(plot, dict)]  # without pictures
    (project.folder / "dvc.yaml").write_text(json.dumps({"plots": listed}))
    ignored = shutil.ignore_patterns("cache", "tmp", "config.local")
    shutil.copytree(ROOT / ".dvc", project.folder / ".dvc", ignore=ignored)
    tables = {}
    for plot in listed:
        [settings] = plot.values()
        for name, columns in settings["y"].items():
            names = [columns] if isinstance(columns, str) else columns
            tables.setdefault(name, [settings["x"]]).extend(names)
    for factor in 0.5, 1:
        for name, columns in tables.items():
            rows = {column: np.linspace(0.1, 1, 5) * factor**n for n, column in enumerate(columns)}
            path = project.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(rows).to_csv(path, index=False)
        if factor < 1:
            project.run("git", "init", "--quiet")
            project.commit("Plots")
    return project


@pytest.fixture(scope="module")
def charts(plots) -> dict[str, dict]:
    """Return what VS Code's extension gets of each plot, for two versions."""
    shown = json.loads(plots.run("dvc", "plots", "diff", "HEAD", "--json", "--split").stdout)
    return {name: chart for name, [chart] in shown["data"].items()}


def test_templates_leave_to_dvc_and_vs_code_what_they_fill(plots, charts):
    anchors = ["data", "title", "tooltip", "x_label", "y_label", "zoom_and_pan"]
    own = 0
    for plot in read_yaml(plots.folder / "dvc.yaml")["plots"]:
        [(name, settings)] = plot.items()
        chart = charts[name]
        assert chart["content"]["$schema"].endswith("vega-lite/v5.json")
        if (ROOT / f".dvc/plots/{settings['template']}.json").exists():
            own += 1
            # The many small panels of one plot have the size that they need.
            sizes = ["plot_width", "plot_height"] if "facet" not in chart["content"] else []
            wanted = {f"<DVC_METRIC_{anchor.upper()}>" for anchor in anchors + sizes}
            assert wanted <= chart["anchor_definitions"].keys(), name
    assert own >= 5


@pytest.mark.parametrize("template", ["curves", "rates"])
def test_series_have_the_colours_of_the_report(template):
    chart = json.loads((ROOT / f".dvc/plots/{template}.json").read_text())
    scale = chart["layer"][0]["encoding"]["color"]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    assert len(colours) >= 2
    assert colours == {series: figures.COLOURS[series] for series in colours}


def test_revisions_differ_by_dashes_and_fit(plots, charts):
    for name in "perceptron_accuracy", "noise_rates":
        [line, _] = charts[name]["content"]["layer"]
        assert line["encoding"]["strokeDash"]["field"] == "rev"
        assert len(line["encoding"]["strokeDash"]["scale"]["range"]) >= 3


def test_dvc_plots_opens_offline(plots, charts, browser):
    (plots.folder / ".venv").mkdir()
    bundle = vl_convert.javascript_bundle(vl_version="5.20")
    (plots.folder / ".venv/vega.js").write_text(bundle, encoding="utf-8")
    plots.run("dvc", "plots", "diff", "HEAD")
    visit(browser, plots.folder / "dvc_plots/index.html")
    drawn = ".vega-embed svg.marks"
    WebDriverWait(browser, 60).until(lambda _: len(find_all(browser, drawn)) == len(charts))
    assert_quiet(browser)
    titles = [chart["anchor_definitions"]["<DVC_METRIC_TITLE>"] for chart in charts.values()]
    texts = [svg.get_attribute("textContent") for svg in find_all(browser, drawn)]
    assert all(any(title in text for text in texts) for title in titles)
    assert all("workspace" in text and "HEAD" in text for text in texts)
