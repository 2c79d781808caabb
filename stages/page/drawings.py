"""The report's PNGs: figures 1 to 3, and what the convolutional network gets wrong."""

import numpy as np

from common.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, plt
from page.facts import layers_of


def draw_accuracy(history, published):
    """Figure 1: training and validation accuracy of the perceptron per epoch."""
    figure, axis = plt.subplots()
    for name, colour in ("accuracy", ORANGE), ("validation_accuracy", BLUE):
        label = name.replace("_", " ")
        axis.plot(history.epoch, history[name], "o-", color=colour, label=label)
        axis.plot(
            published.epoch, published[name], "--", color=colour, label=f"{label} (published)"
        )
    axis.set(title="Perceptron 64-64", xlabel="epoch", ylabel="accuracy")
    axis.legend()
    return figure


def draw_sweep(summary, cells, hinton: float):
    """Figure 2: mean validation accuracy, with standard deviation, against the L2 factor."""
    figure, axis = plt.subplots()
    axis.plot(cells.factor, cells.validation_accuracy, ".", color=ORANGE, label="each replicate")
    axis.errorbar(
        summary.factor,
        summary["mean"],
        summary["std"].fillna(0),
        color=BLUE,
        marker="o",
        capsize=4,
        label="mean ± standard deviation",
    )
    axis.axhline(hinton, color=VERMILION, linestyle="--", label=f"Hinton: {hinton} (published)")
    axis.set(
        title="Perceptron 500-300 with weight decay",
        xlabel="L2 factor",
        ylabel="validation accuracy after the last epoch",
    )
    axis.legend()
    return figure


def draw_autoencoder(model):
    """Figure 3: the autoencoder, a bar for each layer as high as the layer is wide."""
    encoder, decoder = (model.get_layer(name) for name in ("encoder", "decoder"))
    bars = [("input", model.input_shape[-1], "", GREY)]
    for part, colour in (encoder, BLUE), (decoder, GREEN):
        for layer in layers_of(part):
            note = f"{layer.activation.__name__}\n{layer.count_params():,} parameters"
            bars.append((layer.name.replace("_", " "), layer.units, note, colour))
    code = len(layers_of(encoder))
    bars[code] = (*bars[code][:3], ORANGE)

    figure, axis = plt.subplots(figsize=(8, 4.6))
    tallest = max(units for _, units, _, _ in bars)
    for index, (name, units, note, colour) in enumerate(bars):
        axis.add_patch(plt.Rectangle((index - 0.11, -units / 2), 0.22, units, color=colour))
        axis.text(index, units / 2 + 14, f"{name}\n{units}", ha="center", va="bottom")
        axis.text(
            index,
            -units / 2 - 14,
            note,
            ha="center",
            va="top",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
        if index:
            before = bars[index - 1][1]
            for side in (-1, 1):
                axis.plot(
                    [index - 0.89, index - 0.11],
                    [side * before / 2, side * units / 2],
                    color="0.7",
                    linewidth=0.8,
                )
    low = -tallest / 2 - 130
    for part, first, last in (encoder, 0.6, code + 0.4), (decoder, code + 0.6, len(bars) - 0.6):
        axis.annotate("", (first, low), (last, low), arrowprops={"arrowstyle": "-"})
        label = f"{part.name}: {part.count_params():,} parameters"
        axis.text((first + last) / 2, low - 14, label, ha="center", va="top")
    axis.set(
        xlim=(-0.7, len(bars) - 0.3),
        ylim=(low - 70, tallest / 2 + 110),
        title=f"Denoising autoencoder: {model.count_params():,} parameters",
    )
    axis.axis("off")
    return figure


def draw_confusion(predictions):
    """The CNN's confusion matrix: how many images of each digit were taken for which."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (predictions.actual, predictions.predicted), 1)
    mistakes = np.where(np.eye(10, dtype=bool), 0, counts)
    figure, axis = plt.subplots(figsize=(6, 5.6))
    axis.imshow(mistakes, cmap="Blues")
    for actual, predicted in np.ndindex(counts.shape):
        dark = mistakes[actual, predicted] > mistakes.max() / 2
        axis.text(
            predicted,
            actual,
            counts[actual, predicted] or "",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else "black",
            fontweight="bold" if actual == predicted else "normal",
        )
    axis.grid(False)
    axis.set(
        title="Convolutional network on the test images (shade: mistakes)",
        xlabel="predicted digit",
        ylabel="actual digit",
        xticks=range(10),
        yticks=range(10),
    )
    return figure


def draw_mistakes(predictions, images, most: int = 10):
    """The misread images whose wrong digit had the highest probability, up to `most`."""
    wrong = predictions[predictions.actual != predictions.predicted]
    worst = wrong.sort_values("probability", ascending=False, kind="stable").head(most)
    figure, axes = plt.subplots(2, -(-most // 2), figsize=(7.5, 4))
    for axis in axes.flat:
        axis.axis("off")
    for axis, row in zip(axes.flat, worst.itertuples(), strict=False):
        axis.imshow(images[row.image, ..., 0], cmap="gray_r", vmin=0, vmax=1)
        title = f"{row.actual} read as {row.predicted}\n({row.probability:.3f})"
        axis.set_title(title, fontsize=9)
    return figure
