"""Every number and verdict that the report states: analysis, no drawing."""

import math

import numpy as np
import pandas as pd

CHANCE = 0.1  # ten digits, about equally frequent
KINDS = ("noisy", "denoised")
HINTON = "sweep_hinton"
LOG_COLUMNS = ["log", "epoch", "measure", "published", "this_run", "difference"]


def crossing(levels, rates, threshold: float = 0.5):
    """Find the level, interpolated, at which `rates` first fall below `threshold`.

    None where they never do; the first level where they start below.
    """
    if rates[0] < threshold:
        return levels[0]
    for index in range(1, len(levels)):
        if rates[index] < threshold:
            share = (rates[index - 1] - threshold) / (rates[index - 1] - rates[index])
            return levels[index - 1] + share * (levels[index] - levels[index - 1])
    return None


def summarise_draws(rates: pd.Series) -> pd.DataFrame:
    """Take mean and sample standard deviation over draws or seeds.

    `rates` is indexed by noise_level, kind and a third. Columns of the result: noise_level,
    noisy, denoised, noisy_std, denoised_std (NaN for a single draw).
    """
    levels = rates.unstack("kind").groupby("noise_level")
    return levels.mean().join(levels.std(ddof=1).add_suffix("_std")).reset_index()


def noise_curve(counts: pd.DataFrame, classifier: str) -> pd.DataFrame:
    """Summarise the true-positive rates of one classifier; columns as in `summarise_draws`."""
    own = counts[counts.classifier == classifier]
    draws = own.groupby(["noise_level", "draw", "kind"])[["images", "recognised"]].sum()
    return summarise_draws(draws.recognised / draws.images)


def digit_rates(counts: pd.DataFrame, classifier: str) -> pd.DataFrame:
    """Rate of each digit over all draws: columns as in `summarise_draws`, and digit."""
    own = counts[counts.classifier == classifier]
    sums = own.groupby(["noise_level", "digit", "kind"])[["images", "recognised"]].sum()
    rates = (sums.recognised / sums.images).unstack("kind").reset_index()
    return rates.assign(noisy_std=np.nan, denoised_std=np.nan)


def noise_findings(curve: pd.DataFrame) -> dict:
    """State what the two curves of a classifier say; None where there is no such level.

    Denoising helps at a level where the denoised rate leads by more than two standard
    deviations of that difference between draws.
    """
    gain = curve.denoised - curve.noisy
    spread = np.hypot(curve.denoised_std.fillna(0), curve.noisy_std.fillna(0))
    helps = curve.noise_level[gain > 2 * spread]
    cost = -gain[curve.noise_level == 0]
    levels = list(curve.noise_level)
    return {
        "denoising_costs_on_clean": None if cost.empty else cost.iloc[0],
        "denoising_helps_from": None if helps.empty else helps.min(),
        "denoising_helps_to": None if helps.empty else helps.max(),
        "noisy_rate_below_half_at": crossing(levels, list(curve.noisy)),
        "denoised_rate_below_half_at": crossing(levels, list(curve.denoised)),
    }


def largest_gain(curve: pd.DataFrame) -> dict:
    """Find the level at which denoising raises the rate most."""
    gain = curve.denoised - curve.noisy
    return curve.assign(gain=gain).loc[gain.idxmax()].to_dict()


def judge_claims(curve: pd.DataFrame) -> list[dict]:
    """Judge the published findings about noise by the measured curve.

    Each has the claim, what was measured, and the verdict: "holds", "does not hold" or
    "not measured".
    """
    level = curve.noise_level
    ahead = curve.denoised > curve.noisy
    best = curve[list(KINDS)].max(axis=1)
    judged = (
        ("Noisy images are read better at noise levels 0 and 0.1.", level <= 0.1, ~ahead),
        ("Denoised images are read better from 0.2 to 0.8.", level.between(0.2, 0.8), ahead),
        (
            "Denoising has failed from 0.8 (our measure: at most twice chance).",
            level.between(0.8, 0.95),
            curve.denoised <= 2 * CHANCE,
        ),
        (
            "At level 1 the rate is almost nil (our measure: below half of chance, 0.1).",
            level == 1,
            best < CHANCE / 2,
        ),
    )
    claims = []
    for claim, chosen, holds in judged:
        verdict = "holds" if holds[chosen].all() else "does not hold"
        measured = "; ".join(
            f"{row.noise_level:g}: {row.noisy:.3f} noisy, {row.denoised:.3f} denoised"
            for row in curve[chosen].iloc[[0, -1] if chosen.sum() > 1 else slice(None)].itertuples()
        )
        if not chosen.any():
            measured, verdict = "no such noise level", "not measured"
        claims.append({"claim": claim, "measured": measured, "verdict": verdict})
    return claims


def compare_ways(own: pd.DataFrame, trained: pd.DataFrame) -> dict | None:
    """Compare denoising with training on noise: curves as in `summarise_draws`.

    Levels count above 0, where there is noise, and below 1, where there is nothing else.
    None where both were measured at no such level.
    """
    both = own.merge(trained, on="noise_level", suffixes=("", "_trained"))
    noisy = both[(both.noise_level > 0) & (both.noise_level < 1)]
    if noisy.empty:
        return None
    clean = both[both.noise_level == 0]
    lead = noisy.noisy_trained - noisy.denoised
    return {
        "most": noisy.loc[lead.idxmax(), ["noise_level", "noisy_trained", "denoised"]].to_dict(),
        "levels": len(noisy),
        "ahead": int((noisy.noisy_trained > noisy.denoised).sum()),
        "joint_ahead": int((noisy.denoised_trained > noisy.noisy_trained).sum()),
        "cost": None if clean.empty else (clean.noisy - clean.noisy_trained).iloc[0],
        "half_at": crossing(list(trained.noise_level), list(trained.noisy)),
    }


def name_curves(curves: dict, robust: pd.DataFrame | None, trained: str) -> dict:
    """Name the curves of the classifiers as charts and tables show them."""
    noised = ", trained on noise" if trained else ""
    named = {"Perceptron": curves["mlp"], f"Convolutional network{noised}": curves["cnn"]}
    return named if robust is None else named | {"Network trained on noise": robust}


def list_ways(named: dict, levels: list[float]) -> list[tuple[str, list[str]]]:
    """Write the rate of every way to read noisy digits at each level, "–" where not measured."""
    return [
        (f"{name}{how}", [f"{rate:.3f}".replace("nan", "–") for rate in rates])
        for name, curve in named.items()
        for kind, how in (("noisy", ""), ("denoised", ", denoised first"))
        for rates in [curve.set_index("noise_level")[kind].reindex(levels)]
    ]


def digit_order(rates: pd.DataFrame, level: float) -> list[int]:
    """Order the digits by how often they are read at `level` after denoising, rarest first."""
    at_level = rates[rates.noise_level == level].dropna(subset="denoised")
    return list(at_level.sort_values("denoised", kind="stable").digit)


def describe_noise(parameters: dict) -> str:
    """Word the noise that the convolutional network was trained on; "" for none."""
    level = parameters["train_cnn"].get("noise_level") or 0
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


def selection_bias(cells: pd.DataFrame, histories: pd.DataFrame) -> dict:
    """Measure what choosing on the images that a result is quoted for adds to it.

    `factor` has the highest mean validation accuracy, as a word; `expected` is the mean test
    accuracy of its replicates; `best_run_gain` is how much the best run of all exceeds it;
    `best_epoch_gain` how much a run's best epoch exceeds its last, on validation images.
    """
    factor = cells.groupby("factor").validation_accuracy.mean().idxmax()
    replicates = cells.test_accuracy[cells.factor == factor]
    expected, best = replicates.mean(), cells.test_accuracy.max()
    accuracies = histories.groupby(["factor", "replicate"]).validation_accuracy
    return {
        "factor": str(factor),
        "expected": expected,
        "std": replicates.std() if len(replicates) > 1 else None,
        "best_run": best,
        "best_run_gain": best - expected,
        "best_epoch_gain": (accuracies.max() - accuracies.last()).mean(),
    }


def lead_of_best(sweep: pd.DataFrame) -> dict | None:
    """By how much the best factor leads the next, and how its replicates scatter.

    None without a second factor or replicate.
    """
    ranked = sweep.sort_values("mean", ascending=False, kind="stable")
    if len(ranked) < 2 or ranked["std"].isna().iloc[0]:
        return None
    gap = ranked["mean"].iloc[0] - ranked["mean"].iloc[1]
    return {"gap": gap, "spread": ranked["std"].iloc[0], "factor": ranked.factor.iloc[0]}


def most_confused(predictions: pd.DataFrame) -> dict | None:
    """Find the pair of digits mixed up most often; None where there is no mistake."""
    wrong = predictions[predictions.actual != predictions.predicted]
    if wrong.empty:
        return None
    counts = wrong.groupby(["actual", "predicted"]).size()
    actual, predicted = counts.idxmax()
    return {"actual": int(actual), "predicted": int(predicted), "count": int(counts.max())}


def worst_mistakes(predictions: pd.DataFrame, images, most: int = 10) -> list[dict]:
    """List the misread images whose wrong digit has the highest probability, with `pixels`."""
    wrong = predictions[predictions.actual != predictions.predicted]
    worst = wrong.sort_values("probability", ascending=False, kind="stable").head(most)
    rows = worst.to_dict("records")
    for row in rows:
        row["pixels"] = np.rint(images[row["image"], ..., 0] * 255).astype(np.uint8)
    return rows


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
    spread = seeds.groupby("metric").value.agg(["min", "max"])
    table["lowest"], table["highest"] = table.name.map(spread["min"]), table.name.map(spread["max"])
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
        measures = [column for column in run.logs[name] if column != "epoch"]
        both = [
            frame.melt("epoch", measures, "measure", value).set_index(["epoch", "measure"])
            for frame, value in ((run.logs[name], "published"), (own[name], "this_run"))
        ]
        tables.append(pd.concat(both, axis=1, join="inner").reset_index().assign(log=name))
    table = pd.concat(tables)
    return table.assign(difference=table.this_run - table.published)[LOG_COLUMNS].round(6)


def describe_layers(network) -> list[dict]:
    """List what the report says of each layer."""
    return [
        {
            "name": layer.name.replace("_", " "),
            "kind": layer.kind,
            "shape": "\u00a0×\u00a0".join(str(size) for size in layer.shape),
            "parameters": sum(weight.size for weight in layer.weights),
        }
        for layer in network.layers
    ]


def explore_noise(run, curves: dict[str, pd.DataFrame]) -> list[dict]:
    """Gather what figures 4-14 show at each level: pixels, readings, and the numbers."""
    examples = run.examples[run.examples.classifier == "cnn"]
    closeness = run.reconstruction.groupby(["noise_level", "kind"])[["ssim", "psnr"]].mean()
    levels = []
    for index, level in enumerate(run.parameters["eval_noise"]["noise_levels"]):
        rows = []
        for kind, pixels in zip(("original", *KINDS), run.pixels[index], strict=True):
            read = examples[(examples.noise_level == level) & (examples.kind == kind)]
            rows.append({"kind": kind, "pixels": pixels, "read": read.to_dict("records")})
        rates = {
            name: curve[curve.noise_level == level].iloc[0].to_dict()
            for name, curve in curves.items()
        }
        closest = {kind: closeness.loc[(level, kind)].to_dict() for kind in KINDS}
        levels.append({"level": level, "rows": rows, "rates": rates, "closeness": closest})
    return levels


def flatten(parameters: dict, prefix: str = "") -> list[tuple[str, str]]:
    """List nested parameters with dotted names, values as params.yaml writes them."""
    words = {None: "null", True: "true", False: "false"}
    pairs = []
    for name, value in parameters.items():
        if isinstance(value, dict):
            pairs += flatten(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, bool):
            pairs.append((f"{prefix}{name}", words[value]))
        else:
            pairs.append((f"{prefix}{name}", str(value)))
    return pairs


def none_for_nan(table: pd.DataFrame) -> list[dict]:
    """List the rows of a table, with None where a number is missing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def measure(run) -> dict:
    """Work out the numbers of metrics/report.json but for the comparison with the study."""
    sweep = summarise_sweep(run.cells)
    # Chosen by validation, of the highest the first; only then the test images are looked at.
    best = run.cells.loc[run.cells.validation_accuracy.idxmax()]
    hinton = run.numbers.set_index("name").published[HINTON]
    return {
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
        "selection_bias": selection_bias(run.cells, run.sweep_histories),
        "noise": noise_findings(noise_curve(run.counts, "cnn")),
        "perceptron_noise": noise_findings(noise_curve(run.counts, "mlp")),
    }


def find(run, metrics: dict) -> dict:
    """Gather everything that the text and the charts state; `metrics` as `measure` made them."""
    files = {f"metrics/{name}.json": values for name, values in run.measured.items()}
    curves = {name: noise_curve(run.counts, name) for name in ("cnn", "mlp")}
    robust = None
    if run.robust is not None:
        robust = summarise_draws(run.robust.set_index(["noise_level", "kind", "seed"]).rate)
    trained = describe_noise(run.parameters)
    gain = {name: largest_gain(curve) for name, curve in curves.items()}
    files["metrics/report.json"] = metrics
    digits = digit_rates(run.counts, "cnn")
    named = name_curves(curves, robust, trained)
    numbers = compare_numbers(run.numbers, files, run.seeds)
    return {
        **metrics,
        "parameters": run.parameters,
        "training_images": run.training_images,
        "test_images": len(run.predictions),
        "mlp": run.measured["train_mlp"],
        "cnn": run.measured["train_cnn"],
        "ae": run.measured["train_ae"],
        "networks": {name: describe_layers(network) for name, network in run.networks.items()},
        "widths": [layer.shape[-1] for layer in run.networks["mlp"].layers if layer.weights],
        "code_size": min(layer.shape[-1] for layer in run.networks["autoencoder"].layers),
        "dense_parameters": int(run.cells.parameters.iloc[0]),
        "right_probability": math.exp(-run.measured["train_mlp"]["test_loss"]),
        "hinton": run.numbers.set_index("name").published[HINTON],
        "cells": len(run.cells),
        "sweep_table": summarise_sweep(run.cells),
        "lead": lead_of_best(summarise_sweep(run.cells)),
        "confused": most_confused(run.predictions),
        "mistakes": worst_mistakes(run.predictions, run.test_images),
        "curves": curves,
        "digits": digits,
        "gain": gain,
        "claims": judge_claims(curves["cnn"]),
        "draws": run.parameters["eval_noise"]["draws"],
        "levels": explore_noise(run, curves),
        "trained": trained,
        "robust": robust,
        "ways": None if robust is None or trained else compare_ways(curves["cnn"], robust),
        "digit_order": digit_order(digits, gain["cnn"]["noise_level"]),
        "named_curves": named,
        "way_rows": list_ways(named, run.parameters["eval_noise"]["noise_levels"]),
        "study": run.numbers.set_index("name").published.to_dict(),
        "notebook_half": crossing(list(run.notebook.noise_level), list(run.notebook.denoised)),
        "number_rows": none_for_nan(numbers),
        "compared": int((numbers.place != "").sum()),
        "within": int((numbers.place == "within").sum()),
        "numbers": numbers,
        "flat_parameters": flatten(run.parameters),
        "inputs": run.inputs,
        "versions": run.versions,
    }


def published_metrics(numbers: pd.DataFrame) -> dict:
    """Shape the comparison with the study for metrics/report.json."""
    columns = ["published", "this_run", "difference"]
    return {row["name"]: {key: row[key] for key in columns} for row in none_for_nan(numbers)}


def tabulate(run, found: dict) -> dict[str, pd.DataFrame]:
    """Make the tables of plots/report, which go into Git to compare branches by."""
    noise, perceptron = (found["curves"][name].set_index("noise_level") for name in ("cnn", "mlp"))
    closeness = run.reconstruction.groupby(["noise_level", "kind"])[["ssim", "psnr"]].mean()
    closeness = closeness.unstack("kind")
    closeness.columns = [f"{kind}_{measure}" for measure, kind in closeness.columns]
    digits = found["digits"].pivot(index="noise_level", columns="digit", values="denoised")
    digit_means = found["digits"].groupby("noise_level")[list(KINDS)].mean()
    return {
        "sweep": found["sweep_table"],
        "sweep_cells": run.cells,
        "sweep_histories": run.sweep_histories,
        "noise": noise.join(digit_means.add_suffix("_digit_mean"))
        .join(perceptron.add_suffix("_perceptron"))
        .join(closeness)
        .reset_index(),
        "digits": digits.add_prefix("digit_").reset_index(),
        "published_numbers": found["numbers"],
        "published_logs": compare_logs(run),
    }
