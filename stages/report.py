"""Sum up the study: the sweep, the noise levels, and every published number beside this run's."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from pydantic import Field

from common.parameters import Distinct, Factor, Parameters, Replicate
from page import facts as facts_of
from page.facts import crossing

PUBLISHED = Path("published")
FOLDER = "plots/report"
HINTON = "sweep_hinton"
PACKAGES = ("dvc", "keras", "matplotlib", "numpy", "pandas", "tensorflow")


class GridParameters(Parameters):
    factors: Annotated[list[Factor], Distinct] = Field(
        min_length=1,
        description="the L2 factors of the sweep: numbers from 0 to 1, at least one, none twice",
    )
    replicates: Annotated[list[Replicate], Distinct] = Field(
        min_length=1,
        description="the repetitions of each factor: whole numbers from 0 to 1,000,000, "
        "at least one, none twice",
    )


def read_sweep(grid: GridParameters):
    """The sweep's cells: a table with a row for each, and a table of all their histories."""
    import pandas as pd

    cells, histories = [], []
    for factor in grid.factors:
        for replicate in grid.replicates:
            name = f"{factor}-{replicate}"
            cells.append(json.loads(Path(f"metrics/sweep_l2/{name}.json").read_text()))
            history = pd.read_csv(f"plots/sweep_l2/{name}.csv")
            histories.append(history.assign(factor=factor, replicate=replicate))
    return pd.DataFrame(cells), pd.concat(histories)


def summarise_sweep(cells):
    """For each factor, the validation accuracies of all its replicates: columns factor, mean,
    std (sample standard deviation, ddof=1; empty for a single replicate) and best.

    The published code averaged two of the three replicates (`scores[i:i+2]`); this takes all.
    """
    accuracies = cells.groupby("factor", sort=True).validation_accuracy
    return accuracies.agg(["mean", "std", "max"]).rename(columns={"max": "best"}).reset_index()


def noise_findings(rates) -> dict:
    """What the curves say: the lowest and the highest measured noise level at which denoised
    images are recognised better than noisy ones, by more than two standard deviations of that
    difference between draws, and the level, interpolated linearly between measured ones, at
    which the denoised rate falls below one half. None where there is none."""
    gain = rates.denoised - rates.noisy
    spread = np.hypot(rates.denoised_std, rates.noisy_std)
    helps = rates.noise_level[gain > 2 * spread]
    return {
        "denoising_helps_from": None if helps.empty else helps.min(),
        "denoising_helps_to": None if helps.empty else helps.max(),
        "denoised_rate_below_half_at": crossing(list(rates.noise_level), list(rates.denoised)),
    }


def compare_numbers(metrics: dict):
    """Every published number beside this run's. `metrics` holds the content of each metrics
    file under its path. Columns: name, description, published, this_run, difference (empty where
    this run has no such number)."""
    import pandas as pd

    numbers = pd.read_csv(PUBLISHED / "numbers.csv")
    measured = []
    for row in numbers.itertuples():
        value = metrics[row.file]
        for key in row.key.split("."):
            value = value[key]
        measured.append(value)
    numbers["this_run"] = pd.Series(measured, dtype=float)
    numbers["difference"] = (numbers.this_run - numbers.published).round(6)
    return numbers[["name", "description", "published", "this_run", "difference"]]


def compare_logs(histories: dict, sweep_histories):
    """The published training logs beside this run's, a row for each printed number: log, epoch,
    figure, published, this_run, difference. The sweep's log is of one replicate; beside it
    stands the mean of this run's replicates with the same factor. `histories` holds the tables
    of the other trainings under their stages' names."""
    import pandas as pd

    histories = {f"{stage}_history": table for stage, table in histories.items()}
    for factor, group in sweep_histories.groupby("factor"):
        mean = group.groupby("epoch", as_index=False).mean()
        histories[f"sweep_l2_history_{factor}"] = mean
    tables = []
    for name in sorted(histories):
        path = PUBLISHED / f"{name}.csv"
        if not path.exists():  # the study printed the log of one factor only
            continue
        published = pd.read_csv(path)
        figures = [column for column in published if column != "epoch"]
        both = (
            frame.melt("epoch", figures, "figure", value).set_index(["epoch", "figure"])
            for frame, value in ((published, "published"), (histories[name], "this_run"))
        )
        table = pd.concat(both, axis=1, join="inner").reset_index()
        tables.append(table.assign(log=name, difference=table.this_run - table.published))
    columns = ["log", "epoch", "figure", "published", "this_run", "difference"]
    return pd.concat(tables)[columns].round(6)


def draw_accuracy(history, published):
    """Figure 1: training and validation accuracy of the perceptron per epoch."""
    from common.figures import BLUE, ORANGE, plt

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
    from common.figures import BLUE, ORANGE, VERMILION, plt

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


def layers_of(model) -> list:
    """The layers that compute, in order, those of nested networks included."""
    return [
        inner
        for layer in model.layers
        for inner in (layers_of(layer) if hasattr(layer, "layers") else [layer])
    ]


def draw_autoencoder(model):
    """Figure 3: the autoencoder, a bar for each layer as high as the layer is wide."""
    from common.figures import BLUE, GREEN, GREY, ORANGE, plt

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
    from common.figures import plt

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
    from common.figures import plt

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


def describe_layers(model) -> list[dict]:
    """What the report says of each layer: name, kind, output shape and number of parameters."""
    return [
        {
            "name": layer.name.replace("_", " "),
            "kind": type(layer).__name__,
            "shape": " × ".join(str(size) for size in layer.output.shape[1:]),
            "parameters": layer.count_params(),
        }
        for layer in layers_of(model)
    ]


def explore_noise(examples) -> list[dict]:
    """For each noise level the picture of figures 4–14, in words too, and the guesses in it."""
    levels = []
    for level, rows in examples.groupby("noise_level"):
        digits = []
        for _, pair in rows.groupby("image", sort=False):
            guesses = pair.set_index("kind")
            digit = {"actual": int(pair.actual.iloc[0])}
            for kind in ("noisy", "denoised"):
                digit[kind] = int(guesses.predicted[kind])
                digit[f"{kind}_probability"] = guesses.probability[kind]
            digits.append(digit)
        shown = ", ".join(str(digit["actual"]) for digit in digits)
        levels.append(
            {
                "noise_level": level,
                "path": f"plots/eval_noise/figures/figures_04-14_noise_{level}.png",
                "text": f"The digits {shown}: original, with noise of level {level}, and denoised",
                "digits": digits,
            }
        )
    return levels


def flatten(parameters: dict, prefix: str = "") -> list[tuple[str, object]]:
    """The values of nested `parameters` with their full names, dotted."""
    return [
        item
        for name, value in parameters.items()
        for item in (
            flatten(value, f"{prefix}{name}.")
            if isinstance(value, dict)
            else [(f"{prefix}{name}", "null" if value is None else value)]
        )
    ]


def read_inputs() -> list[tuple[str, str]]:
    """Path and MD5, from dvc.lock, of the data and networks that this run went through."""
    stages = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return sorted(
        (out["path"], out["md5"]) for out in outs if out["path"].startswith(("data/", "models/"))
    )


def lead_of_best(sweep) -> dict | None:
    """By how much the best factor's mean leads the next one's (`gap`), and the standard
    deviation of its replicates (`spread`). None without a second factor or replicate."""
    ranked = sweep.sort_values("mean", ascending=False, kind="stable")
    if len(ranked) < 2 or ranked["std"].isna().iloc[0]:
        return None
    return {
        "gap": ranked["mean"].iloc[0] - ranked["mean"].iloc[1],
        "spread": ranked["std"].iloc[0],
    }


def none_for_nan(table) -> list[dict]:
    """The rows of `table`, with None where a number is missing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def main(grid: GridParameters) -> None:
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    import pandas as pd

    from common import dataset, figures, models, results
    from page import charts
    from page.render import render

    cells, sweep_histories = read_sweep(grid)
    sweep = summarise_sweep(cells)
    # Chosen by validation, of the highest the first; only then the test images are looked at.
    best = cells.loc[cells.validation_accuracy.idxmax()]
    published = {
        name: pd.read_csv(PUBLISHED / f"{name}_history.csv")
        for name in ("train_mlp", "train_cnn", "train_ae")
    }
    histories = {name: pd.read_csv(f"plots/{name}/history.csv") for name in published}
    measured = {name: json.loads(Path(f"metrics/{name}.json").read_text()) for name in published}
    hinton = pd.read_csv(PUBLISHED / "numbers.csv", index_col="name").published[HINTON]
    rates = pd.read_csv("plots/eval_noise/rates.csv")
    class_rates = pd.read_csv("plots/eval_noise/class_rates.csv")
    predictions = pd.read_csv("plots/train_cnn/predictions.csv")
    networks = {
        "mlp": models.load("models/mlp.keras", (28, 28, 1), (10,)),
        "cnn": models.load("models/cnn.keras", (28, 28, 1), (10,)),
        "autoencoder": models.load("models/autoencoder.keras", (784,), (784,)),
    }

    metrics = {
        "best": {
            # A word, since DVC shows numbers with five decimals: 1e-06 would be 0.0.
            "factor": str(best.factor),
            "validation_accuracy": best.validation_accuracy,
            "test_accuracy": best.test_accuracy,
            "distance_to_hinton": round(best.test_accuracy - hinton, 6),
        },
        "sweep": {
            f"factor_{row['factor']}": {name: row[name] for name in ("mean", "std", "best")}
            for row in none_for_nan(sweep)
        },
        "noise": noise_findings(rates),
    }
    numbers = compare_numbers(
        {f"metrics/{name}.json": values for name, values in measured.items()}
        | {"metrics/report.json": metrics}
    )
    metrics["published"] = {
        row["name"]: {key: row[key] for key in ("published", "this_run", "difference")}
        for row in none_for_nan(numbers)
    }

    drawn = {
        "figure_01_perceptron": draw_accuracy(histories["train_mlp"], published["train_mlp"]),
        "figure_02_sweep": draw_sweep(sweep, cells, hinton),
        "figure_03_autoencoder": draw_autoencoder(networks["autoencoder"]),
        "confusion": draw_confusion(predictions),
        "mistakes": draw_mistakes(predictions, dataset.load("test")[0]),
    }
    for name, figure in drawn.items():
        figures.save(figure, f"{FOLDER}/{name}.png")
    spread = {
        "factor": sweep.factor,
        "mean": sweep["mean"],
        "mean - std": sweep["mean"] - sweep["std"],
        "mean + std": sweep["mean"] + sweep["std"],
        "best": sweep.best,
        "Hinton (published)": hinton,
    }
    results.write_csv(f"{FOLDER}/sweep.csv", pd.DataFrame(spread))
    # The cells' own files are in DVC's cache; these go into Git, to compare branches by.
    results.write_csv(f"{FOLDER}/sweep_cells.csv", cells)
    results.write_csv(f"{FOLDER}/sweep_histories.csv", sweep_histories)
    results.write_csv(f"{FOLDER}/published_numbers.csv", numbers)
    results.write_csv(f"{FOLDER}/published_logs.csv", compare_logs(histories, sweep_histories))
    results.write_json("metrics/report.json", metrics)

    parameters = yaml.safe_load(Path("params.yaml").read_text())
    del parameters["fetch"]  # has no influence: whatever the source, the same bytes
    explorer = explore_noise(pd.read_csv("plots/eval_noise/examples.csv"))
    clean = rates[rates.noise_level == 0].to_dict("records")
    gain = rates.assign(gain=rates.denoised - rates.noisy)
    facts = {
        "parameters": parameters,
        "training_images": len(dataset.load("train")[0]),
        "test_images": len(predictions),
        "mlp": measured["train_mlp"],
        "cnn": measured["train_cnn"],
        "ae": measured["train_ae"],
        "networks": {name: describe_layers(model) for name, model in networks.items()},
        "mlp_widths": [layer.units for layer in layers_of(networks["mlp"]) if layer.count_params()],
        "dense_parameters": cells.parameters.iloc[0],
        "right_probability": facts_of.right_probability,
        "best": metrics["best"],
        "hinton": hinton,
        "cells": len(cells),
        "sweep": none_for_nan(sweep),
        "sweep_gap": lead_of_best(sweep),
        "confused": facts_of.most_confused(predictions),
        "explorer": explorer,
        "explorer_start": len(explorer) // 2,
        "noise": metrics["noise"],
        "noisy_half": crossing(list(rates.noise_level), list(rates.noisy)),
        "denoised_half": metrics["noise"]["denoised_rate_below_half_at"],
        "clean": clean[0] if clean else None,
        "largest": gain.loc[gain.gain.idxmax()].to_dict(),
        "claims": facts_of.claims(rates),
        "numbers": none_for_nan(
            numbers.assign(within=facts_of.within_spread(numbers, cells, best.factor))
        ),
        "flat_parameters": flatten(parameters),
        "inputs": read_inputs(),
        "versions": [(name, version(name)) for name in PACKAGES],
    }
    accuracies = {"accuracy": "training", "validation_accuracy": "validation"}
    losses = {"loss": "training", "validation_loss": "validation"}
    drawings = {
        name: charts.history(title, histories[stage], published[stage], columns, y_title)
        for name, stage, title, columns, y_title in (
            ("mlp", "train_mlp", "Perceptron 64-64", accuracies, "accuracy"),
            ("cnn", "train_cnn", "Convolutional network", accuracies, "accuracy"),
            ("autoencoder", "train_ae", "Denoising autoencoder", losses, "binary cross-entropy"),
        )
    } | {
        "sweep": charts.sweep("Perceptron 500-300 with weight decay", cells, sweep, hinton),
        "noise": charts.noise("Classifying noisy and denoised digits", rates),
        "classes": charts.classes("Denoised digits, each of the ten", class_rates),
    }
    plain, page = render(facts, drawings)
    Path("report.md").write_text(plain, encoding="utf-8")
    Path("report.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(GridParameters.parse("sweep_l2", __doc__))
