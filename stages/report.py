"""Sum up the study: the sweep, the noise levels, and every published number beside this run's."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import yaml

from common.cells import Factor, Replicate
from common.parameters import Parameters, several
from page import facts
from page.facts import crossing

PUBLISHED = Path("published")
FOLDER = "plots/report"
HINTON = "sweep_hinton"
PACKAGES = ("dvc", "keras", "matplotlib", "numpy", "pandas", "tensorflow")


class GridParameters(Parameters, section="sweep_l2.grid"):
    """Hold the cells of the sweep."""

    factors: several(Factor)
    replicates: several(Replicate)


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


def flattery(cells, sweep_histories) -> dict:
    """What choosing on the images that a result is quoted for adds to it. `factor` has the
    highest mean validation accuracy, as a word; `expected` is the mean test accuracy of its
    replicates and `std` their sample standard deviation (ddof=1, None for one), `luckiest` the
    highest test accuracy of all cells, `by_training` what it has more than expected. `by_epoch`
    is what the best epoch of a training has more than its last, on the validation images, as a
    mean over the cells."""
    factor = cells.groupby("factor").validation_accuracy.mean().idxmax()
    replicates = cells.test_accuracy[cells.factor == factor]
    expected, luckiest = replicates.mean(), cells.test_accuracy.max()
    accuracies = sweep_histories.groupby(["factor", "replicate"]).validation_accuracy
    return {
        "factor": str(factor),
        "expected": expected,
        "std": replicates.std() if len(replicates) > 1 else None,
        "luckiest": luckiest,
        "by_training": luckiest - expected,
        "by_epoch": (accuracies.max() - accuracies.last()).mean(),
    }


def noise_findings(rates) -> dict:
    """What the curves say: by how much the rate on clean images is lower after denoising; the
    lowest and the highest measured noise level at which denoised images are recognised better
    than noisy ones, by more than two standard deviations of that difference between draws; and
    the level, interpolated linearly between measured ones, at which the denoised rate falls
    below one half. None where there is none."""
    gain = rates.denoised - rates.noisy
    cost = (rates.noisy - rates.denoised)[rates.noise_level == 0]
    spread = np.hypot(rates.denoised_std, rates.noisy_std)
    helps = rates.noise_level[gain > 2 * spread]
    return {
        "denoising_costs_on_clean": None if cost.empty else cost.iloc[0],
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


def none_for_nan(table) -> list[dict]:
    """The rows of `table`, with None where a number is missing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def main(parameters: GridParameters) -> None:
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    import pandas as pd

    from common import dataset, figures, models, results
    from page import charts, drawings
    from page.render import render

    cells, sweep_histories = read_sweep(parameters)
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
        "flattery": flattery(cells, sweep_histories),
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
        "figure_01_perceptron": drawings.draw_accuracy(
            histories["train_mlp"], published["train_mlp"]
        ),
        "figure_02_sweep": drawings.draw_sweep(sweep, cells, hinton),
        "figure_03_autoencoder": drawings.draw_autoencoder(networks["autoencoder"]),
        "confusion": drawings.draw_confusion(predictions),
        "mistakes": drawings.draw_mistakes(predictions, dataset.load("test")[0]),
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

    settings = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    del settings["fetch"]  # has no influence: whatever the source, the same bytes
    explorer = facts.explore_noise(pd.read_csv("plots/eval_noise/examples.csv"))
    clean = rates[rates.noise_level == 0].to_dict("records")
    gain = rates.assign(gain=rates.denoised - rates.noisy)
    contents = {
        "parameters": settings,
        "training_images": len(dataset.load("train")[0]),
        "test_images": len(predictions),
        "mlp": measured["train_mlp"],
        "cnn": measured["train_cnn"],
        "ae": measured["train_ae"],
        "networks": {name: facts.describe_layers(model) for name, model in networks.items()},
        "mlp_widths": [
            layer.units for layer in facts.layers_of(networks["mlp"]) if layer.count_params()
        ],
        "dense_parameters": cells.parameters.iloc[0],
        "right_probability": facts.right_probability,
        "best": metrics["best"],
        "flattery": metrics["flattery"],
        "hinton": hinton,
        "cells": len(cells),
        "sweep": none_for_nan(sweep),
        "sweep_gap": facts.lead_of_best(sweep),
        "confused": facts.most_confused(predictions),
        "explorer": explorer,
        "explorer_start": len(explorer) // 2,
        "noise": metrics["noise"],
        "noisy_half": crossing(list(rates.noise_level), list(rates.noisy)),
        "denoised_half": metrics["noise"]["denoised_rate_below_half_at"],
        "clean": clean[0] if clean else None,
        "largest": gain.loc[gain.gain.idxmax()].to_dict(),
        "claims": facts.claims(rates),
        "numbers": none_for_nan(
            numbers.assign(within=facts.within_spread(numbers, cells, best.factor))
        ),
        "flat_parameters": facts.flatten(settings),
        "inputs": facts.read_inputs(),
        "versions": [(name, version(name)) for name in PACKAGES],
    }
    accuracies = {"accuracy": "training", "validation_accuracy": "validation"}
    losses = {"loss": "training", "validation_loss": "validation"}
    specifications = {
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
    plain, page = render(contents, specifications)
    Path("report.md").write_text(plain, encoding="utf-8")
    Path("report.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    GridParameters.run(main, __doc__)
