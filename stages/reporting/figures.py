"""The figures of the report, drawn with Matplotlib: one function for each.

Every function takes tables or arrays, returns a figure, and leaves writing it to `save`.
"""

import io
import math
import re
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from common.rates import KINDS

FOLDER = Path("plots/report")

# Okabe and Ito's palette, made to be told apart with any kind of colour vision.
# Source: https://jfly.uni-koeln.de/color/
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"

# One colour for a series everywhere: in the figures, on the page and in `dvc plots`. Its templates,
# .dvc/plots/*.json, have the same colours written out; tests/test_figures.py compares them.
COLOURS = {
    "training": BLUE,
    "validation": VERMILION,
    "noisy": VERMILION,
    "filtered": GREEN,
    "denoised": BLUE,
    "encoder": VERMILION,
    "decoder": BLUE,
    "this run": BLUE,
    "published": VERMILION,
    "wrong": "#A83A00",
}

# Figures depend on nothing else: neither on a window, nor on the user's matplotlibrc.
matplotlib.use("Agg")
matplotlib.rcdefaults()
plt.rcParams.update(
    {
        "figure.figsize": (5, 3),  # inches; 5 x 72 points are about the width of a phone
        "figure.constrained_layout.use": True,
        "figure.dpi": 72,
        "savefig.transparent": True,
        "font.sans-serif": "DejaVu Sans",  # comes with Matplotlib
        "font.size": 10,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.edgecolor": GREY,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "grid.color": "#D9D9D9",
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": "black",
        "ytick.labelcolor": "black",
        "legend.frameon": False,
        "lines.markersize": 4,
        "image.interpolation": "none",  # pixels stay squares
        "svg.fonttype": "none",  # text stays text: sharp, small, and can be searched
    }
)


def save(figure: Figure, name: str) -> str:
    """Write `figure` as plots/report/NAME.png, and return it as SVG.

    Both have the same bytes in every run: they state neither time nor version.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.png"
    figure.savefig(path, dpi=144, transparent=False, metadata={"Software": None})
    drawing = io.StringIO()
    unknown = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    # Several drawings stand in one page. The salt, which is their name, keeps their ids apart.
    with plt.rc_context({"svg.hashsalt": name}):
        figure.savefig(drawing, format="svg", metadata=unknown)
    plt.close(figure)
    svg = drawing.getvalue()
    svg = svg[svg.index("<svg") :]
    # In a page of many drawings, a style would act on all, and ids that nothing uses would clash.
    svg = re.sub(r"<style.*?</style>", "", svg)
    return re.sub(r' id="(image\w+|[\w.]+_\d+)"', "", svg)


def history(
    own: pd.DataFrame, published: pd.DataFrame | None, measures: list[str], label: str
) -> Figure:
    """Draw two `measures` by epoch: on training and on validation images.

    `own` and `published` have the column "epoch" and the two measures.
    """
    figure, axes = plt.subplots()
    for series, measure in zip(("training", "validation"), measures, strict=True):
        colour = COLOURS[series]
        axes.plot(own["epoch"], own[measure], "o-", color=colour, label=series)
        if published is not None:
            style = {"color": colour, "label": f"{series} (published)"}
            axes.plot(published["epoch"], published[measure], "o--", **style)
    axes.set(xlabel="epoch", ylabel=label)
    axes.set_xlim(left=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def sweep(cells: pd.DataFrame, summary: pd.DataFrame, hinton: float | None) -> Figure:
    """Draw figure 2: every training, each factor's mean, and Hinton's result.

    `cells` has the columns factor and validation_accuracy, `summary` factor, mean and std.
    """
    figure, axes = plt.subplots()
    accuracies = cells["validation_accuracy"]
    axes.plot(cells["factor"], accuracies, "o", color=GREY, label="each training")
    summary = summary.sort_values("factor")
    style = {"color": COLOURS["validation"], "fmt": "o-", "markersize": 6, "capsize": 4}
    label = "mean and standard deviation"
    axes.errorbar(
        summary["factor"], summary["mean"], summary["std"].fillna(0), label=label, **style
    )
    if hinton is not None:
        axes.axhline(hinton, color="black", linestyle=":", label=f"Hinton's result, {hinton}")
    axes.set(xlabel="L2 factor", ylabel="validation accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def autoencoder(layers: pd.DataFrame) -> Figure:
    """Draw figure 3: a bar as wide as each layer.

    `layers` has the columns layer, output (a shape), size (the number of its values) and part,
    which is "encoder", "decoder" or "".
    """
    given = layers.tail(1).assign(layer="input", part="input")
    rows = pd.concat([given, layers], ignore_index=True)
    figure, axes = plt.subplots(figsize=(5, 0.6 + 0.32 * len(rows)))
    for part, group in rows.groupby("part", sort=False):
        colour = COLOURS.get(part, GREY)
        style = {"color": colour, "edgecolor": colour, "height": 0.6}
        axes.barh(
            group.index, group["size"], left=-group["size"] / 2, label=part or "layer", **style
        )
    shapes = rows["output"].map(lambda shape: " × ".join(map(str, shape)))
    axes.set_yticks(rows.index, shapes + "  " + rows["layer"])
    axes.invert_yaxis()
    axes.tick_params(left=False)
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def digits(rows: list[dict]) -> Figure:
    """Draw figures 4 to 14, and mistakes: images with notes.

    Each row has its name, "kind", "pixels" (N, side, side) from 0 to 255, and "notes", N pairs
    of a text and whether it is wrong, or none.
    """
    columns = max(1, *(len(row["pixels"]) for row in rows))
    width = min(1.2, (4.2 if rows[0]["kind"] else 5) / columns)  # inches for an image
    size = (5, len(rows) * (width + 0.25))
    figure, axes = plt.subplots(len(rows), columns, squeeze=False, figsize=size)
    for line, row in zip(axes, rows, strict=True):
        for panel in line:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        line[0].set_ylabel(row["kind"], rotation="horizontal", ha="right", va="center")
        for panel, pixels in zip(line, row["pixels"], strict=False):
            panel.imshow(pixels, cmap="gray_r", vmin=0, vmax=255)
        for panel, (text, wrong) in zip(line, row["notes"], strict=False):
            style = {"color": COLOURS["wrong"], "weight": "bold"} if wrong else {}
            lines = textwrap.fill(text, int(14 * width), break_long_words=False)
            panel.set_xlabel(lines, **style)
    return figure


def _draw_rates(axes: Axes, curve: pd.DataFrame, chance: float) -> None:
    """Draw the rates of each kind by noise level, and chance."""
    for kind in KINDS:
        if kind in curve:
            axes.plot(curve[kind], "o-", color=COLOURS[kind], label=kind)
    axes.axhline(chance, color=GREY, linestyle=":", label="chance")
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))


def rates(
    curve: pd.DataFrame,
    notebook: pd.DataFrame | None,
    band: pd.DataFrame | None,
    chance: float = 0.1,
) -> Figure:
    """Draw figure 15: the rates of each kind by noise level.

    `curve` has the columns noisy, filtered, denoised and their deviations, noisy_std and so on;
    `notebook` has noisy and denoised; `band` noisy_low, noisy_high and so on. All are indexed by
    noise level. A hidden line at each level, with the id level-LEVEL, is for the page's slider.
    """
    figure, axes = plt.subplots(figsize=(5, 3.4))
    curve = curve.sort_index()
    _draw_rates(axes, curve, chance)
    for kind in KINDS:
        if f"{kind}_std" in curve:
            deviation = curve[f"{kind}_std"].fillna(0)
            axes.errorbar(curve.index, curve[kind], deviation, fmt="none", color=COLOURS[kind])
    if notebook is not None:
        for kind in notebook.columns.intersection(KINDS):
            axes.plot(notebook[kind].sort_index(), "--", color=COLOURS[kind])
        axes.plot([], [], "--", color=GREY, label="study's notebook")
    if band is not None:
        band = band.sort_index()
        for kind in KINDS:
            if f"{kind}_low" in band:
                ends = band[f"{kind}_low"], band[f"{kind}_high"]
                axes.fill_between(band.index, *ends, color=COLOURS[kind], alpha=0.2, linewidth=0)
        axes.fill_between([], [], color=GREY, alpha=0.3, linewidth=0, label="other seeds, 95 %")
    for level in curve.index:
        axes.axvline(level, color="black", alpha=0, gid=f"level-{level}")
    axes.set(xlabel="noise level", ylabel="true-positive rate")
    is_short = notebook is None and band is None
    figure.legend(loc="outside lower center", ncols=4 if is_short else 3)
    return figure


def small_rates(curves: dict[str, pd.DataFrame], columns: int, chance: float = 0.1) -> Figure:
    """Draw a small panel of rates for each of the named `curves`."""
    columns = min(columns, len(curves))
    lines = math.ceil(len(curves) / columns)
    size = (5, 0.9 + lines * (0.4 + min(2, 4 / columns)))
    figure, axes = plt.subplots(lines, columns, squeeze=False, sharey=True, figsize=size)
    for panel in axes.flat[len(curves) :]:
        panel.set_visible(False)
    for panel, (name, curve) in zip(axes.flat, curves.items(), strict=False):
        _draw_rates(panel, curve.sort_index(), chance)
        panel.set_title(textwrap.fill(name, 60 // columns))
        panel.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    figure.supxlabel("noise level", size="medium")
    figure.supylabel("true-positive rate", size="medium")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def published(numbers: pd.DataFrame, others: pd.DataFrame) -> Figure:
    """Draw published numbers, this run's and those of other seeds.

    `numbers` has the columns name, description, published, this_run, from and to: where
    further runs lie, NaN where that is not known. `others` has name and value.
    """
    lines = math.ceil(len(numbers) / 2)
    figure, axes = plt.subplots(lines, 2, squeeze=False, figsize=(5, 0.5 + 0.8 * lines))
    for panel in axes.flat[len(numbers) :]:
        panel.set_visible(False)
    for panel, row in zip(axes.flat, numbers.to_dict("records"), strict=False):
        values = others.loc[others["name"] == row["name"], "value"]
        band = {"color": GREY, "alpha": 0.25, "linewidth": 6, "solid_capstyle": "butt"}
        panel.plot([row["from"], row["to"]], [0, 0], label="where further runs lie", **band)
        strips = {
            "other seeds": (values, "|", GREY, 10),
            "this run": ([row["this_run"]], "o", COLOURS["this run"], 7),
            "published": ([row["published"]], "D", COLOURS["published"], 9),
        }
        for label, (value, marker, colour, width) in strips.items():
            # Open marks, so that none hides another.
            style = {"color": colour, "markersize": width, "label": label, "fillstyle": "none"}
            panel.plot(value, [0] * len(value), marker, markeredgewidth=1.5, **style)
        panel.set_title(textwrap.fill(row["description"], 34), size="small")
        panel.set(yticks=[])
        panel.tick_params(labelsize="small")
        panel.spines["left"].set_visible(False)
        panel.xaxis.set_major_locator(MaxNLocator(2))
        panel.xaxis.set_major_formatter("{x:g}")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def confusion(predictions: pd.DataFrame, names: list[str]) -> Figure:
    """Draw how many images of each class are read as which.

    Colour marks mistakes. `predictions` has the columns actual and predicted, numbers of classes;
    `names` are theirs.
    """
    classes = range(len(names))
    counts = pd.crosstab(predictions["actual"], predictions["predicted"])
    counts = counts.reindex(index=classes, columns=classes, fill_value=0).to_numpy()
    mistakes = np.where(np.eye(len(names)), 0, counts)
    figure, axes = plt.subplots(figsize=(5, 4.4))
    # Twice the most is the darkest: so the numbers stay easy to read.
    colours = {"cmap": "Blues", "vmin": 0, "vmax": 2 * max(1, mistakes.max())}
    axes.imshow(np.ma.masked_equal(mistakes, 0), **colours)
    for actual, predicted in np.argwhere(counts):
        axes.text(predicted, actual, counts[actual, predicted], ha="center", va="center", size=9)
    turned = 45 if max(map(len, names)) > 2 else 0
    axes.set_xticks(classes, names, rotation=turned, ha="right" if turned else "center")
    axes.set_yticks(classes, names)
    axes.grid(False)
    axes.set(xlabel="read as", ylabel="actual")
    return figure
