"""Sum up the study: the sweep, the noise levels, and every published number beside this run's."""

import itertools
import json
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from common.parameters import Distinct, Factor, Parameters, Replicate

PUBLISHED = Path("published")
FOLDER = "plots/report"
HINTON = "sweep_hinton"


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
    below_half = None
    for before, after in itertools.pairwise(rates.sort_values("noise_level").itertuples()):
        if before.denoised >= 0.5 > after.denoised:
            share = (before.denoised - 0.5) / (before.denoised - after.denoised)
            below_half = before.noise_level + share * (after.noise_level - before.noise_level)
            break
    return {
        "denoising_helps_from": None if helps.empty else helps.min(),
        "denoising_helps_to": None if helps.empty else helps.max(),
        "denoised_rate_below_half_at": below_half,
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


def compare_logs(sweep_histories):
    """The published training logs beside this run's, a row for each printed number: log, epoch,
    figure, published, this_run, difference. The sweep's log is of one replicate; beside it
    stands the mean of this run's replicates with the same factor."""
    import pandas as pd

    histories = {
        f"{stage}_history": pd.read_csv(f"plots/{stage}/history.csv")
        for stage in ("train_mlp", "train_cnn", "train_ae")
    }
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


def main(grid: GridParameters) -> None:
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    import pandas as pd

    from common import figures, models, results

    cells, sweep_histories = read_sweep(grid)
    sweep = summarise_sweep(cells)
    # Chosen by validation, of the highest the first; only then the test images are looked at.
    best = cells.loc[cells.validation_accuracy.idxmax()]
    published_numbers = pd.read_csv(PUBLISHED / "numbers.csv", index_col="name").published
    hinton = published_numbers[HINTON]
    metrics = {
        "best": {
            # A word, since DVC shows numbers with five decimals: 1e-06 would be 0.0.
            "factor": str(best.factor),
            "validation_accuracy": best.validation_accuracy,
            "test_accuracy": best.test_accuracy,
            "distance_to_hinton": round(best.test_accuracy - hinton, 6),
        },
        "sweep": {
            f"factor_{row.factor}": {
                "mean": row.mean,
                "std": None if pd.isna(row.std) else row.std,
                "best": row.best,
            }
            for row in sweep.itertuples(name="Factor")
        },
        "noise": noise_findings(pd.read_csv("plots/eval_noise/rates.csv")),
    }
    paths = [f"metrics/{stage}.json" for stage in ("train_mlp", "train_cnn", "train_ae")]
    measured = {path: json.loads(Path(path).read_text()) for path in paths}
    numbers = compare_numbers(measured | {"metrics/report.json": metrics})
    metrics["published"] = {
        row.name: {
            "published": row.published,
            "this_run": None if pd.isna(row.this_run) else row.this_run,
            "difference": None if pd.isna(row.difference) else row.difference,
        }
        for row in numbers.itertuples(index=False, name="Number")
    }

    figures.save(
        draw_accuracy(
            pd.read_csv("plots/train_mlp/history.csv"),
            pd.read_csv(PUBLISHED / "train_mlp_history.csv"),
        ),
        f"{FOLDER}/figure_01_perceptron.png",
    )
    figures.save(draw_sweep(sweep, cells, hinton), f"{FOLDER}/figure_02_sweep.png")
    autoencoder = models.load("models/autoencoder.keras", (784,), (784,))
    figures.save(draw_autoencoder(autoencoder), f"{FOLDER}/figure_03_autoencoder.png")
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
    results.write_csv(f"{FOLDER}/published_logs.csv", compare_logs(sweep_histories))
    results.write_json("metrics/report.json", metrics)


if __name__ == "__main__":
    main(GridParameters.parse("sweep_l2", __doc__))
