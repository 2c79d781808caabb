"""Figures: the same bytes in every run, whatever is drawn; colours and templates agree."""

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import vl_convert
from browsing import assert_quiet, find_all, visit
from conftest import ROOT, Project, read_yaml
from selenium.webdriver.support.wait import WebDriverWait

from common.rates import KINDS
from reporting import figures

FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker"]
FASHION += ["Bag", "Ankle boot"]


def epochs(count: int) -> pd.DataFrame:
    rows = {"epoch": range(1, count + 1), "loss": np.linspace(0.9, 0.1, count)}
    return pd.DataFrame(rows | {"validation_loss": np.linspace(0.8, 0.2, count)})


def curve(levels, kinds=KINDS) -> pd.DataFrame:
    rows = {kind: np.linspace(0.9, 0.1, len(levels)) ** power for power, kind in enumerate(kinds)}
    return pd.DataFrame(rows | {f"{kind}_std": 0.01 for kind in kinds}, levels)


def cells(factors, replicates) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = itertools.product(factors, range(replicates))
    table = pd.DataFrame(rows, columns=["factor", "replicate"])
    table["validation_accuracy"] = 0.98 + 0.001 * table.replicate
    groups = table.groupby("factor").validation_accuracy
    return table, groups.agg(["mean", "std"]).reset_index()


def layers(*rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["layer", "output", "part"])
    return table.assign(size=[int(np.prod(shape)) for shape in table.output])


def images(count: int, side=28, word="7 (0.98)") -> dict:
    pixels = np.arange(count * side * side).reshape(count, side, side) % 256
    notes = [(word, index % 2 == 1) for index in range(count)]
    return {"kind": "noisy", "pixels": pixels.astype(np.uint8), "notes": notes}


def readings(classes: int, mistakes: int) -> pd.DataFrame:
    actual = np.arange(50) % classes
    return pd.DataFrame(
        {"actual": actual, "predicted": (actual + (np.arange(50) < mistakes)) % classes}
    )


NUMBERS = pd.DataFrame(
    {"name": ["a", "b", "c"], "description": ["Network, test loss"] * 3, "published": 0.9}
).assign(this_run=[0.91, 0.9, np.nan], to=[0.93, np.nan, np.nan])
NUMBERS["from"] = NUMBERS.to - 0.05
OTHERS = pd.DataFrame({"name": ["a"] * 10, "value": np.linspace(0.89, 0.92, 10)})
DENSE = ("hidden 1", (128,), "encoder"), ("code", (96,), "encoder"), ("pixels", (784,), "decoder")
CONVOLUTIONS = (
    ("convolution", (28, 28, 32), "encoder"),
    ("code", (10,), "encoder"),
    ("image", (28, 28, 1), "decoder"),
)
LEVELS = [0.0, 0.5, 1.0]
LOSSES = ["loss", "validation_loss"]

# What a study may ask for: first as it is published, then otherwise.
DRAWN = {
    "history": lambda: figures.history(epochs(10), epochs(8), LOSSES, "loss"),
    "sweep": lambda: figures.sweep(*cells([1e-6, 5e-4, 1e-3], 3), 0.9847),
    "sweep, one training": lambda: figures.sweep(*cells([1e-6], 1), None),
    "autoencoder": lambda: figures.autoencoder(layers(*DENSE)),
    "autoencoder, convolutions": lambda: figures.autoencoder(layers(*CONVOLUTIONS)),
    "digits": lambda: figures.digits([images(4), images(4), images(4), images(4)]),
    "digits, long names": lambda: figures.digits([images(5, word="Ankle boot read as Sneaker")]),
    "rates": lambda: figures.rates(curve(LEVELS), curve(LEVELS, ["noisy", "denoised"]), None),
    "rates, one level": lambda: figures.rates(curve([0.3]), None, None, 0.2),
    "small": lambda: figures.small_rates({name: curve(LEVELS) for name in FASHION}, 5),
    "small, one": lambda: figures.small_rates({"Network trained on noise": curve(LEVELS)}, 3),
    "published": lambda: figures.published(NUMBERS, OTHERS),
    "confusion": lambda: figures.confusion(readings(10, 5), list("0123456789")),
    "confusion, names": lambda: figures.confusion(readings(10, 5), FASHION),
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", DRAWN)
def test_figure_copes_with_what_a_study_may_ask_for(folder, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that does not fit is a warning
        figure = DRAWN[name]()
        drawing = figures.save(figure, "figure")
    assert (folder / "plots/report/figure.png").stat().st_size < 150_000
    ElementTree.fromstring(drawing)
    drawn, size = figure.get_tightbbox(), figure.get_size_inches()
    assert np.all(drawn.min >= -0.05) and np.all(drawn.max <= size + 0.05), "nothing is cut off"


def draw_all() -> str:
    """Draw a figure of each function; return a hash of all files and drawings."""
    everything = hashlib.sha256()
    for name in [name for name in DRAWN if "," not in name]:
        everything.update(figures.save(DRAWN[name](), name).encode())
    for path in sorted(figures.FOLDER.iterdir()):
        everything.update(path.read_bytes())
    return everything.hexdigest()


def test_same_bytes_whatever_the_user_has_set(folder):
    (folder / "matplotlibrc").write_text("lines.linewidth: 9\nbackend: svg\nfont.size: 30\n")
    code = "import test_figures; print(test_figures.draw_all())"
    paths = os.pathsep.join(map(str, (ROOT / "tests", ROOT / "stages", ROOT / "tools")))
    settings = {"MPLCONFIGDIR": str(folder), "MPLBACKEND": "pdf", "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": paths} | settings
    theirs = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shutil.rmtree("plots")
    (folder / "matplotlibrc").unlink()
    assert theirs.stdout.split() == [draw_all()]


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
    anchors = ["color", "data", "title", "tooltip", "x_label", "y_label", "zoom_and_pan"]
    own = 0
    for plot in read_yaml(plots.folder / "dvc.yaml")["plots"]:
        [(name, settings)] = plot.items()
        chart = charts[name]
        assert chart["content"]["$schema"].endswith("vega-lite/v5.json")
        colour = chart["anchor_definitions"]["<DVC_METRIC_COLOR>"]
        assert len(colour["scale"]["domain"]) == 2, "a colour for each version"
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
