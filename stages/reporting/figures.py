"""The figures of the report, drawn with Matplotlib: one function for each.

`report.md.j2` places a figure by its function's name. Each function takes the study and returns a
figure.
"""

import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from common.rates import KINDS, noise_curve
from reporting import results
from reporting.inputs import STAGES, Study
from reporting.layers import list_layers
from reporting.plotting import GREY, SIZE, Figure, can_write
from reporting.tables import count_readings

# One colour, one meaning: in the figures, on the page and in `dvc plots`. Its templates,
# .dvc/plots/*.json, have the same colours written out; tests/test_figures.py compares them.
# The first three are of Okabe and Ito's palette, made to be told apart with any kind of colour
# vision. Source: https://jfly.uni-koeln.de/color/
COLOURS = {
    "noisy": "#D55E00",
    "filtered": "#009E73",
    "denoised": "#0072B2",
    "training": "#2AA1B3",
    "validation": "#9A3F8C",
    "published": "#8A6A00",
    "wrong": "#B00020",
    "encoder": "#5B5B8F",
    "decoder": "#A3A3C8",
}
LABELS = {"training": "training images", "validation": "validation images"}
ROW = 0.45  # inches for a row of the figure of published numbers


def new_axes(width: float = 5, height: float = 3.2) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def name_classes(study: Study) -> list[str]:
    """Return the names of the classes; the numbers of those that the font cannot write."""
    return [name if can_write(name) else str(label) for label, name in enumerate(study.classes)]


# ---- Training ----


def draw_history(study: Study, network: str, measure: str, label: str) -> Figure:
    """Draw a measure by epoch, on training and on validation images."""
    figure, axes = new_axes()
    own, published = study.histories[network], study.logs[f"{STAGES[network]}_history"]
    for series, column in ("training", measure), ("validation", f"validation_{measure}"):
        axes.plot(own.epoch, own[column], "o-", color=COLOURS[series], label=LABELS[series])
        if len(published):
            axes.plot(published.epoch, published[column], "--", color=COLOURS[series])
    if len(published):
        axes.plot([], [], "--", color=GREY, label="published")
    axes.set(xlabel="epoch", ylabel=label)
    axes.set_xlim(left=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def figure_01_perceptron(study: Study) -> Figure:
    return draw_history(study, "mlp", "accuracy", "accuracy")


def cnn(study: Study) -> Figure:
    return draw_history(study, "cnn", "accuracy", "accuracy")


def autoencoder(study: Study) -> Figure:
    return draw_history(study, "autoencoder", "loss", "loss")


def figure_02_sweep(study: Study) -> Figure:
    """Draw every training of the sweep, each factor's mean, and Hinton's result."""
    figure, axes = new_axes()
    cells, summary = study.cells, results.summarise_sweep(study)
    axes.plot(cells.factor, cells.validation_accuracy, "o", color=GREY, label="each training")
    style = {"color": COLOURS["validation"], "fmt": "o-", "markersize": 6, "capsize": 4}
    deviation = summary["std"].fillna(0)  # of one training: no bar
    axes.errorbar(summary.factor, summary["mean"], deviation, label="mean ± deviation", **style)
    for hinton in study.numbers.published[study.numbers.name == "sweep_hinton"]:
        style = {"color": COLOURS["published"], "linestyle": "--"}
        axes.axhline(hinton, label=f"Hinton's result, {hinton}", **style)
    axes.set(xlabel="L2 factor", ylabel="validation accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def figure_03_autoencoder(study: Study) -> Figure:
    """Draw the autoencoder: a bar as wide as each layer's output."""
    layers = list_layers(study.models["autoencoder"])
    shape = study.models["autoencoder"].input_shape[1:]
    size = math.prod(side or 1 for side in shape)
    given = pd.DataFrame([{"layer": "input", "output": shape, "part": "input", "size": size}])
    rows = pd.concat([given, layers], ignore_index=True)
    figure, axes = new_axes(height=0.6 + 0.34 * len(rows))
    for part, group in rows.groupby("part", sort=False):
        style = {"color": COLOURS.get(part, GREY), "height": 0.6, "label": part or "layer"}
        axes.barh(group.index, group["size"], left=-group["size"] / 2, **style)
    shapes = rows.output.map(lambda shape: " × ".join(map(str, shape)))
    axes.set_yticks(rows.index, shapes + "  " + rows.layer)
    axes.invert_yaxis()
    axes.tick_params(left=False)
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


# ---- Images ----


def wrap(line: str, width: float) -> str:
    """Break a line between words so that it fits into `width` points."""
    return textwrap.fill(line, int(width / 6.5), break_long_words=False)


def draw_images(rows: list[tuple], margin: float, columns: int) -> Figure:
    """Draw rows of images with notes; a row is its name, its pixels and its notes.

    Pixels are (N, side, side) from 0 to 255; a note is a text and whether it is wrong. `margin`
    is the width of the names. All lies in one plot, in points: so it needs no layout.
    """
    side = (360 - margin) / columns - 8
    wrapped = [
        ["\n".join(wrap(line, side) for line in text.splitlines()) for text, _ in notes]
        for _, _, notes in rows
    ]
    heights = [
        side + 8 + 14 * max((note.count("\n") + 1 for note in row), default=0) for row in wrapped
    ]
    height = sum(heights)
    figure = Figure(figsize=(5, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    top = 0
    for (name, pixels, notes), texts, row_height in zip(rows, wrapped, heights, strict=True):
        axes.text(0, top + side / 2, name, va="center")
        for column, image in enumerate(pixels):
            left = margin + column * (side + 8) + 4
            place = left, left + side, top + side, top
            axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, extent=place)
            if texts:
                style = {"color": COLOURS["wrong"], "weight": "bold"} if notes[column][1] else {}
                axes.text(
                    left + side / 2, top + side + 3, texts[column], ha="center", va="top", **style
                )
        top += row_height
    axes.set(xlim=(0, 360), ylim=(height, 0), aspect="auto")
    axes.axis("off")
    return figure


def figures_04_14_noise(study: Study, level: float) -> Figure:
    """Draw examples at a noise level, with what the CNN reads, and how sure it is."""
    names, rows = name_classes(study), []
    read = study.examples[study.examples.noise_level == level]
    for kind, pixels in zip(("original", *KINDS), study.pixels[level], strict=True):
        notes = [
            (f"{names[row.predicted]} ({row.probability:.2f})", row.predicted != row.actual)
            for row in read[read.kind == kind].itertuples()
        ]
        rows.append((kind, pixels, notes))
    return draw_images(rows, 66, len(study.pixels[level][0]))


def mistakes(study: Study) -> Figure:
    """Draw the images that the CNN misreads most confidently, in rows of four."""
    worst, names = results.worst_mistakes(study), name_classes(study)
    pixels = np.rint(study.images[worst.image, ..., 0] * 255)
    notes = [
        (f"{names[row.predicted]} ({row.probability:.2f})\nis {names[row.actual]}", False)
        for row in worst.itertuples()
    ]
    starts = range(0, len(worst), 4)
    rows = [("", pixels[start : start + 4], notes[start : start + 4]) for start in starts]
    return draw_images(rows, 0, 4)


# ---- Noise ----


def draw_rates(axes: Axes, curve: pd.DataFrame, chance: float) -> None:
    """Draw the rates of each kind by noise level, and chance."""
    axes.axhline(chance, color=GREY, linestyle=":", label="chance")
    for kind in KINDS:
        axes.plot(curve[kind], "o-", color=COLOURS[kind], label=kind, clip_on=False)
    axes.set(xlim=(-0.03, 1.03), ylim=(0, 1))


def figure_15_rates(study: Study) -> Figure:
    """Draw the rates by noise level, the band of the seeds, and the study's notebook.

    A hidden line at each level, with the id level-LEVEL, is for the page's slider.
    """
    figure, axes = new_axes(height=3.9)
    curve = noise_curve(study.counts)
    draw_rates(axes, curve, 1 / len(study.classes))
    rates = results.seed_rates(study).groupby("noise_level").agg(["min", "max"])
    for kind in KINDS:
        if len(rates):
            ends = rates[kind]["min"], rates[kind]["max"]
            axes.fill_between(rates.index, *ends, color=COLOURS[kind], alpha=0.25, linewidth=0)
    for kind, published in study.notebook.items():
        axes.plot(published.sort_index(), "--", color=COLOURS[kind])
    if len(study.notebook):
        axes.plot([], [], "--", color=GREY, label="study's notebook")
        axes.fill_between([], [], color=GREY, alpha=0.3, linewidth=0, label="seeds")
    for level in curve.index:
        axes.axvline(level, color="black", alpha=0, gid=f"level-{level}")
    axes.set(xlabel="noise level", ylabel="true-positive rate")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def answers(study: Study) -> Figure:
    """Draw how often each class is the answer to noisy images, by noise level."""
    figure, axes = new_axes()
    shares = results.answer_shares(study.counts).xs("noisy", level="kind")
    most = results.answers(study.counts)["most_answer"]
    for label in shares.columns.drop(most):
        axes.plot(shares[label], "-", color=GREY, linewidth=1)
    axes.plot([], [], "-", color=GREY, linewidth=1, label="each other class")
    name = name_classes(study)[most]
    axes.plot(shares[most], "o-", color=COLOURS["noisy"], label=f"“{name}”", clip_on=False)
    axes.set(xlabel="noise level", ylabel="share of the answers", ylim=(0, 1))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def classes(study: Study) -> Figure:
    """Draw the rates of each class that has test images, in small panels."""
    rates = results.class_rates(study.counts)
    labels = rates.index.unique("label")
    lines, columns = math.ceil(len(labels) / 3), min(3, len(labels))
    figure = Figure(figsize=(5, 0.9 + 1.35 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    names = name_classes(study)
    for place in range(len(labels), panels.size):
        panels.flat[place].set_visible(False)
        panels.flat[place - columns].tick_params(labelbottom=True)
    for panel, label in zip(panels.flat, labels, strict=False):
        draw_rates(panel, rates.loc[label], 1 / len(names))
        panel.set_title(textwrap.shorten(names[label], 15, placeholder="…"))
        panel.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        panel.xaxis.set_major_formatter("{x:g}")
    figure.supxlabel("noise level", size=SIZE)
    figure.supylabel("true-positive rate", size=SIZE)
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=4, columnspacing=1)
    return figure


def confusion(study: Study) -> Figure:
    """Draw how many test images of each class are read as which; colour marks mistakes."""
    counts, names = count_readings(study).to_numpy(), name_classes(study)
    wrong = np.where(np.eye(len(names)), 0, counts)
    figure, axes = new_axes(height=4.6)
    # Twice the most is the darkest: so the numbers stay easy to read.
    colours = {"cmap": "Reds", "vmin": 0, "vmax": 2 * max(1, wrong.max())}
    axes.imshow(np.ma.masked_equal(wrong, 0), aspect="auto", **colours)
    if len(names) <= 12:  # more have no room for numbers, which stand in the table
        for actual, predicted in np.argwhere(counts):
            axes.text(predicted, actual, counts[actual, predicted], ha="center", va="center")
    turned = {"rotation": 45, "ha": "right"} if max(map(len, names)) > 2 else {}
    axes.set_xticks(range(len(names)), names, **turned)
    axes.set_yticks(range(len(names)), names)
    axes.grid(False)
    axes.set(xlabel="read as", ylabel="class")
    return figure


# ---- Published numbers ----


def published(study: Study) -> Figure:
    """Draw published numbers, this run's and the seeds', in deviations from the seeds' mean."""
    rows = study.numbers.drop(columns="published").merge(results.compare(study), on="name")
    rows = rows[rows.deviation > 0].reset_index(drop=True)
    figure, axes = new_axes(height=1 + ROW * len(rows))
    for place, row in rows.iterrows():
        values = results.other_runs(study, row.network, row.measure)
        marks = {
            "seeds": (values, "o", GREY, 5),
            "this run": ([row.this_run], "o", "black", 9),
            "published": ([row.published], "D", COLOURS["published"], 9),
        }
        for label, (value, marker, colour, size) in marks.items():
            style = {"color": colour, "markersize": size, "markeredgewidth": 1.5}
            style |= {"fillstyle": "none", "label": label if place == 0 else None}
            away = (np.asarray(value, float) - row["mean"]) / row.deviation
            axes.plot(away, np.full(len(away), place), marker, **style)
        axes.text(0, place - 0.25, row.description, ha="center", va="bottom")
    axes.set(xlabel="deviations from the mean of the seeds", yticks=[])
    axes.set_ylim(len(rows) - 0.5, -0.9)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
