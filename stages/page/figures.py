"""All PNG files: how they look, and the pictures that Matplotlib draws.

The same figure always gives the same bytes. Charts come from `page/charts.py`.
"""

import io
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import vl_convert
from PIL import Image

# Okabe and Ito's palette, made to be told apart with any kind of colour vision.
# Source: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#767676"
FOLDER = Path("plots/report")
STYLE = {
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.cmap": "gray_r",  # ink is black
}
CHART_STYLE = {
    "font": "Liberation Sans",  # comes with the renderer, so that all machines agree
    "background": "white",
    "padding": 12,
    "view": {"stroke": None},
    "title": {"fontSize": 15, "anchor": "start", "offset": 12},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
    "header": {"labelFontSize": 12},
    "legend": {"orient": "bottom", "labelFontSize": 12, "labelLimit": 400, "columns": 2},
}


def set_style() -> None:
    """Draw without a display, and the same whatever style the user has."""
    matplotlib.use("Agg")
    matplotlib.rcdefaults()
    plt.rcParams.update(STYLE)


def save(figure: plt.Figure, name: str) -> None:
    """Write `figure` as PNG, without the version and date that Matplotlib would add."""
    figure.savefig(FOLDER / f"{name}.png", metadata={"Software": None})
    plt.close(figure)


def save_chart(chart: dict, name: str) -> None:
    """Write a Vega-Lite chart as PNG, 560 pixels wide and twice as fine."""
    sized = {**chart, "width": 560} if "width" in chart else chart
    png = vl_convert.vegalite_to_png(sized, config=CHART_STYLE, scale=2)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(64).save(FOLDER / f"{name}.png")  # a sixth of the bytes


def draw_autoencoder(network) -> plt.Figure:
    """Figure 3: a bar for each layer of `network`, as wide as the layer."""
    rows = [("input", network.layers[0].weights[0].shape[0], "pixels", GREY)]
    colours = {"encoder": BLUE, "decoder": GREEN}
    for layer in network.layers:
        size = sum(weight.size for weight in layer.weights)
        note = f"{layer.activation}, {size:,} parameters"
        rows.append((layer.name.replace("_", " "), layer.shape[-1], note, colours[layer.part]))
    widest = max(width for _, width, _, _ in rows)
    figure, axis = plt.subplots(figsize=(5.2, 4.4))
    for row, (name, width, note, colour) in enumerate(rows):
        axis.barh(-row, width, height=0.5, color=colour)
        wide = width > widest / 2
        axis.text(
            0 if wide else width / 2 + 14,
            -row,
            f"{width} {name}: {note}" if wide else f"{width} {name}\n{note}",
            ha="center" if wide else "left",
            va="center",
            color="white" if wide else "black",
            fontsize=10,
        )
        if row:
            above = rows[row - 1][1]
            for side in (-0.5, 0.5):
                edges = ([side * above, side * width], [0.75 - row, 0.25 - row])
                axis.plot(*edges, color="0.7", linewidth=0.8)
    for bar, (_, width, _, _) in zip(axis.patches, rows, strict=True):
        bar.set_x(-width / 2)
    for part, colour in colours.items():
        first = [layer.part for layer in network.layers].index(part) + 1
        axis.text(-widest / 2, -first, part, color=colour, va="center", weight="bold")
    axis.axis("off")
    return figure


def draw_confusion(predictions) -> plt.Figure:
    """How many images of each digit were taken for which."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (predictions.actual, predictions.predicted), 1)
    mistakes = np.where(np.eye(10, dtype=bool), 0, counts)
    figure, axis = plt.subplots(figsize=(4.8, 4.6))
    axis.imshow(mistakes, cmap="Blues")
    for actual, predicted in np.ndindex(counts.shape):
        dark = mistakes[actual, predicted] > mistakes.max() / 2
        axis.text(
            predicted,
            actual,
            counts[actual, predicted] or "",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if dark else "black",
            weight="bold" if actual == predicted else "normal",
        )
    axis.set(xlabel="read as", ylabel="digit", xticks=range(10), yticks=range(10))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def draw_digits(rows: list, notes: list[list[str]], labels: list[str]) -> plt.Figure:
    """Draw rows of digits, (28, 28) from 0 to 255, with a note under each, labels on the left."""
    count = max(len(row) for row in rows)
    figure, axis = plt.subplots(figsize=(1.3 * count + 0.9, 1.5 * len(rows) + 0.3), layout="none")
    figure.subplots_adjust(left=0.8 / figure.get_figwidth(), right=0.99, bottom=0.01, top=0.92)
    for row, digits in enumerate(rows):
        for column, pixels in enumerate(digits):
            place = (32 * column, 32 * column + 28, 38 * row + 28, 38 * row)
            axis.imshow(pixels, vmin=0, vmax=255, extent=place)
            note = notes[row][column] if notes[row] else ""
            axis.text(place[0] + 14, place[2] + 5, note, ha="center", va="center", fontsize=10)
        axis.text(-2, 38 * row + 14, labels[row], ha="right", va="center")
    axis.set(xlim=(-1, 32 * count), ylim=(38 * len(rows), -1))
    axis.axis("off")
    return figure


def draw_mistakes(mistakes: list[dict]) -> plt.Figure:
    """The misread images, each with its digit and what was read."""
    halves = [mistakes[:5], mistakes[5:]]
    notes = [[f"{row['actual']} read as {row['predicted']}" for row in half] for half in halves]
    return draw_digits([[row["pixels"] for row in half] for half in halves], notes, ["", ""])


def draw_noise(level: dict) -> plt.Figure:
    """Figures 4-14: the same digits at one noise level, original, noisy and denoised."""
    rows = level["rows"]
    notes = [
        [f"{read['predicted']} ({read['probability']:.2f})" for read in row["read"]] for row in rows
    ]
    figure = draw_digits([row["pixels"] for row in rows], notes, [row["kind"] for row in rows])
    figure.suptitle(f"Noise level {level['level']:g}", fontsize=12)
    return figure


def draw(run, found: dict, charts: dict[str, dict]) -> None:
    """Write every PNG of the report; `charts` are Vega-Lite specifications by file name."""
    set_style()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, chart in charts.items():
        save_chart(chart, name)
    save(draw_autoencoder(run.networks["autoencoder"]), "figure_03_autoencoder")
    save(draw_confusion(run.predictions), "confusion")
    save(draw_mistakes(found["mistakes"]), "mistakes")
    for level in found["levels"]:
        save(draw_noise(level), f"figures_04-14_noise_{level['level']}")
