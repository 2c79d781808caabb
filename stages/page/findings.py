"""Every number and verdict that the report states: analysis, no drawing."""

import json

import numpy as np
import pandas as pd

KINDS = ["noisy", "denoised"]
CLASSIFIERS = {"mlp": "Perceptron", "cnn": "Convolutional network"}


def crossing(rates: pd.Series) -> float | None:
    """Find the noise level, interpolated, at which rates first fall below one half.

    `rates` is indexed by level. None where they never do; the first level where they start below.
    """
    below = np.flatnonzero(rates < 0.5)
    if not below.size:
        return None
    pair = [below[0], max(below[0] - 1, 0)]
    return float(np.interp(0.5, rates.iloc[pair], rates.index[pair]))


def summarise_draws(rates: pd.Series) -> pd.DataFrame:
    """Take mean and sample standard deviation over draws or seeds.

    `rates` is indexed by noise_level, kind and a third. The result is indexed by noise_level;
    its columns are noisy, denoised, noisy_std, denoised_std (NaN for a single draw).
    """
    levels = rates.unstack("kind").groupby("noise_level")
    return levels.mean().join(levels.std(ddof=1).add_suffix("_std"))


def noise_curve(counts: pd.DataFrame, over: str = "draw") -> pd.DataFrame:
    """Summarise the true-positive rates of a classifier over draws or digits."""
    sums = counts.groupby(["noise_level", over, "kind"])[["images", "recognised"]].sum()
    return summarise_draws(sums.recognised / sums.images)


def noise_findings(curve: pd.DataFrame) -> dict:
    """State what a classifier's two curves say.

    None where there is no such level.

    Denoising helps at a level where the denoised rate leads by more than two standard
    deviations between draws, those of both curves added as if independent. Between the first
    and the last such level there may be others.
    """
    cost = curve.noisy - curve.denoised
    spread = np.hypot(curve.denoised_std, curve.noisy_std)
    helps = cost.index[-cost > 2 * spread]
    return {
        "denoising_costs_on_clean": cost.get(0.0),
        "denoising_helps_from": min(helps, default=None),
        "denoising_helps_to": max(helps, default=None),
        "noisy_rate_below_half_at": crossing(curve.noisy),
        "denoised_rate_below_half_at": crossing(curve.denoised),
    }


def largest_gain(curve: pd.DataFrame) -> dict:
    """Find the level at which denoising raises the rate most."""
    level = (curve.denoised - curve.noisy).idxmax()
    return {"noise_level": level} | curve.loc[level].to_dict()


def compare_ways(own: pd.DataFrame, trained: pd.DataFrame) -> dict | None:
    """Compare denoising with training on noise: curves as in `summarise_draws`.

    Only levels between 0 and 1 count: at 0 there is no noise, at 1 nothing but noise. None
    where both were measured at no such level.
    """
    both = own.join(trained, how="inner", rsuffix="_trained")
    noisy = both[(both.index > 0) & (both.index < 1)]
    if noisy.empty:
        return None
    lead = noisy.noisy_trained - noisy.denoised
    return {
        "most": {"noise_level": lead.idxmax()} | noisy.loc[lead.idxmax()].to_dict(),
        "levels": len(noisy),
        "ahead": int((lead > 0).sum()),
        "joint_ahead": int((noisy.denoised_trained > noisy.noisy_trained).sum()),
        "cost": (both.noisy - both.noisy_trained).get(0.0),
        "half_at": crossing(trained.noisy),
        "spread": trained[["noisy_std", "denoised_std"]].max(axis=None),
    }


def describe_noise(level) -> str:
    """Word the noise level that a network was trained with; "" for none."""
    if isinstance(level, list):
        return f"levels from {level[0]:g} to {level[1]:g}"
    return f"level {level:g}" if level else ""


def summarise_sweep(cells: pd.DataFrame) -> pd.DataFrame:
    """Summarise the validation accuracies of each factor: columns factor, mean, std, best.

    The standard deviation is the sample's (ddof=1), NaN for a single replicate. The published
    code averaged two of the three replicates (`scores[i:i+2]`); this takes all.
    """
    accuracies = cells.groupby("factor", sort=True).validation_accuracy
    return accuracies.agg(["mean", "std", "max"]).rename(columns={"max": "best"}).reset_index()


def lead_of_best(sweep: pd.DataFrame) -> dict:
    """By how much the best factor leads the next, and how its replicates scatter.

    NaN without a second factor or replicate.
    """
    ranked = sweep.sort_values("mean", ascending=False, kind="stable")
    return {"gap": ranked["mean"].diff(-1).iloc[0], "spread": ranked["std"].iloc[0]}


def selection_bias(cells: pd.DataFrame) -> dict:
    """Measure how much quoting the luckiest run overstates.

    `factor` has the highest mean validation accuracy, as a word; `expected` is the mean test
    accuracy of its replicates; `best_run_gain` is how much the best run of all exceeds it.
    """
    factor = cells.groupby("factor").validation_accuracy.mean().idxmax()
    replicates = cells.test_accuracy[cells.factor == factor]
    expected, best = replicates.mean(), cells.test_accuracy.max()
    return {
        "factor": str(factor),
        "expected": expected,
        "std": replicates.std() if len(replicates) > 1 else None,
        "best_run": best,
        "best_run_gain": best - expected,
    }


def find_mistakes(predictions: pd.DataFrame, images) -> list[dict]:
    """List the ten mistakes with the highest probability, in rows of five."""
    wrong = predictions[predictions.actual != predictions.predicted]
    worst = wrong.sort_values("probability", ascending=False, kind="stable").head(10)
    notes = [(f"{row.actual} read as {row.predicted}", False) for row in worst.itertuples()]
    pixels = np.rint(images[worst.image, ..., 0] * 255).astype(np.uint8)
    halves = slice(5), slice(5, None)
    return [{"kind": "", "pixels": pixels[half], "notes": notes[half]} for half in halves]


def compare_numbers(numbers: pd.DataFrame, metrics: dict, seeds: pd.DataFrame) -> pd.DataFrame:
    """Put every published number beside this run's and the range of other seeds.

    `metrics` holds the content of each metrics file under its path. `lowest`, `highest` and
    `place` ("within", "below" or "above" that range) are empty where no spread was measured.
    """
    measured = []
    for row in numbers.itertuples():
        value = metrics[row.file]
        for key in row.key.split("."):
            value = value[key]
        measured.append(value)
    table = numbers[["name", "description", "published"]].copy()
    table["this_run"] = pd.Series(measured, dtype=float)
    table["difference"] = (table.this_run - table.published).round(6)
    spread = seeds.groupby("metric").value.agg(["count", "min", "max"])
    table[["seeds", "lowest", "highest"]] = spread.reindex(table.name).to_numpy()
    places = [table.published < table.lowest, table.published > table.highest, table.lowest.notna()]
    table["place"] = np.select(places, ["below", "above", "within"], "")
    return table


def compare_logs(run) -> pd.DataFrame:
    """Put the published training logs beside this run's, a row for each printed number.

    The sweep's log is of one replicate; beside it stands the mean of this run's with its factor.
    """
    own = {f"{stage}_history": table for stage, table in run.histories.items()}
    for factor, group in run.sweep_histories.groupby("factor"):
        own[f"sweep_l2_history_{factor}"] = group.groupby("epoch", as_index=False).mean()
    tables = []
    for name in sorted(own.keys() & run.logs.keys()):
        published = run.logs[name].melt("epoch", var_name="measure", value_name="published")
        measured = own[name].melt("epoch", var_name="measure", value_name="this_run")
        tables.append(published.merge(measured, on=["epoch", "measure"]).assign(log=name))
    table = pd.concat(tables)
    columns = ["log", "epoch", "measure", "published", "this_run", "difference"]
    return table.assign(difference=table.this_run - table.published)[columns].round(6)


def describe_layers(network: list) -> pd.DataFrame:
    """List what the report says of each layer."""
    rows = [
        {
            "layer": layer.name.replace("_", " "),
            "kind": f"{layer.kind}, {layer.activation}".removesuffix(", linear"),
            "output": "\u00a0×\u00a0".join(map(str, layer.shape)),
            "parameters": sum(weight.size for weight in layer.weights),
            "part": layer.part,
        }
        for layer in network
    ]
    return pd.DataFrame(rows)


def tabulate_noise(run, curves: dict) -> pd.DataFrame:
    """Join what was measured at each noise level."""
    closeness = run.reconstruction.groupby(["noise_level", "kind"])[["ssim", "psnr"]].mean()
    closeness = closeness.unstack("kind")
    closeness.columns = [f"{kind}_{measure}" for measure, kind in closeness.columns]
    digits = noise_curve(run.counts[run.counts.classifier == "cnn"], "digit")
    parts = [
        digits[KINDS].add_suffix("_digit_mean"),
        curves["mlp"].add_suffix("_perceptron"),
        closeness,
    ]
    return curves["cnn"].join(parts)


def show_levels(run, table: pd.DataFrame) -> list[dict]:
    """Gather what figures 4-14 show, by rising level.

    Each level has its row of `table`, and rows of pixels with what the network reads.
    """
    examples = run.examples[run.examples.classifier == "cnn"]
    levels = []
    order = np.argsort(run.parameters["eval_noise"]["noise_levels"])
    for index, level in zip(order, table.index, strict=True):
        rows = []
        for kind, pixels in zip(("original", *KINDS), run.pixels[index], strict=True):
            read = examples[(examples.noise_level == level) & (examples.kind == kind)]
            notes = [
                (f"{row.predicted} ({row.probability:.2f})", row.predicted != row.actual)
                for row in read.itertuples()
            ]
            rows.append({"kind": kind, "pixels": pixels, "notes": notes})
        levels.append(table.loc[level].to_dict() | {"noise_level": level, "rows": rows})
    return levels


def flatten(parameters: dict) -> pd.DataFrame:
    """List nested parameters with dotted names, values as JSON."""
    [values] = pd.json_normalize(parameters).to_dict("records")
    rows = [(name, json.dumps(value).strip('"')) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["parameter", "value"])


def nest(table: pd.DataFrame) -> dict[str, dict]:
    """Turn a table into nested dictionaries, with None for NaN."""
    return table.astype(object).where(table.notna(), None).to_dict("index")


def measure(run, curves: dict) -> dict:
    """Work out the numbers of metrics/report.json but for the comparison with the study."""
    # Chosen by validation, of the highest the first; only then the test images are looked at.
    best = run.cells.loc[run.cells.validation_accuracy.idxmax()]
    hinton = run.numbers.set_index("name").published["sweep_hinton"]
    sweep = summarise_sweep(run.cells).set_index("factor")
    return {
        "best": {
            # A word, since DVC shows numbers with five decimals: 1e-06 would be 0.0.
            "factor": str(best.factor),
            "validation_accuracy": best.validation_accuracy,
            "test_accuracy": best.test_accuracy,
            "distance_to_hinton": round(best.test_accuracy - hinton, 6),
        },
        "sweep": nest(sweep.rename(index="factor_{}".format)),
        "selection_bias": selection_bias(run.cells),
        "noise": noise_findings(curves["cnn"]),
        "perceptron_noise": noise_findings(curves["mlp"]),
    }


def find_noise(run, curves: dict) -> dict:
    """Gather what sections 4b to 4d state."""
    own = run.counts[run.counts.classifier == "cnn"]
    robust = summarise_draws(run.robust.set_index(["noise_level", "kind", "seed"]).rate)
    trained = describe_noise(run.parameters["train_cnn"]["noise_level"])
    named = {CLASSIFIERS[name]: curve for name, curve in curves.items()}
    gain = {name: largest_gain(curve) for name, curve in curves.items()}
    digits = {str(digit): noise_curve(group) for digit, group in own.groupby("digit")}
    rates = pd.DataFrame({digit: curve.denoised for digit, curve in digits.items()})
    return {
        "noise_table": tabulate_noise(run, curves),
        "gain": gain,
        "digits": digits,
        "digit_rates": rates.add_prefix("digit_"),
        "easiest": rates.loc[gain["cnn"]["noise_level"]].idxmax(),
        "hardest": rates.loc[gain["cnn"]["noise_level"]].idxmin(),
        "notebook_half": crossing(run.notebook.denoised),
        "trained": trained,
        "robust_seeds": run.robust.seed.nunique(),
        "ways": None if trained else compare_ways(curves["cnn"], robust),
        "curves": named | {"Network trained on noise": robust},
    }


def find(run) -> dict:
    """Gather everything that text and charts state; under "metrics" what report.json holds."""
    counts = run.counts.groupby("classifier")
    curves = {name: noise_curve(counts.get_group(name)) for name in CLASSIFIERS}
    metrics = measure(run, curves)
    files = run.metrics | {"metrics/report.json": metrics}
    numbers = compare_numbers(run.numbers, files, run.seeds)
    shown = numbers.set_index("name")[["published", "this_run", "difference"]]
    layers = {name: describe_layers(network) for name, network in run.networks.items()}
    summary = summarise_sweep(run.cells)
    found = {
        "metrics": metrics | {"published": nest(shown)},
        "parameters": run.parameters,
        "images": run.metrics["metrics/preprocess.json"],
        "mlp": run.metrics["metrics/train_mlp.json"],
        "cnn": run.metrics["metrics/train_cnn.json"],
        "ae": run.metrics["metrics/train_ae.json"],
        "ae_noise": describe_noise(run.parameters["train_ae"]["noise_level"]),
        "layers": layers,
        "widths": layers["mlp"].output[layers["mlp"].parameters > 0].astype(int),
        "code_size": layers["autoencoder"].output.astype(int).min(),
        "dense_parameters": int(run.cells.parameters.iloc[0]),
        "cells": len(run.cells),
        "sweep_table": summary,
        "lead": lead_of_best(summary),
        "study": run.numbers.set_index("name").published.to_dict(),
        "numbers": numbers,
        "compared": int((numbers.place != "").sum()),
        "within": int((numbers.place == "within").sum()),
        "mistakes": find_mistakes(run.predictions, run.test_images),
        "made_of": [flatten(run.parameters), run.versions],
    }
    found |= metrics | find_noise(run, curves)
    return found | {"levels": show_levels(run, found["noise_table"])}


def tabulate(run, found: dict) -> dict[str, pd.DataFrame]:
    """Make the tables of plots/report, which go into Git to compare branches by."""
    return {
        "sweep": found["sweep_table"],
        "sweep_cells": run.cells,
        "noise": found["noise_table"].reset_index(),
        "digits": found["digit_rates"].reset_index(),
        "published_numbers": found["numbers"],
        "published_logs": compare_logs(run),
    }
