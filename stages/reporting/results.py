"""Every number that the report states: a function for each topic, no words.

`work_out` puts them together, and `flatten` names them for plots/report/results.json. What was not
measured is None there, never 0.
"""

import math

import numpy as np
import pandas as pd

from common.rates import KINDS, crossing, drop_level_1, leading_levels, noise_curve
from reporting.inputs import STAGES, Study


def work_out(study: Study) -> dict[str, dict]:
    """Work out the report's numbers, by topic."""
    return {
        "data": data(study),
        "mlp": training(study, "mlp"),
        "cnn": training(study, "cnn"),
        "autoencoder": training(study, "autoencoder"),
        "mistakes": mistakes(study),
        "decay": decay(study),
        "factors": factors(study),
        "noise": noise(study),
        "answers": answers(study.counts),
        "classes": classes(study),
        "seeds": seeds(study),
        "compared": compare(study).set_index("name").to_dict("index"),
    }


def flatten(numbers: dict, start: str = "") -> dict[str, float | int | None]:
    """Name nested numbers with dots, as "noise.helps_from"; NaN and infinity become None."""
    flat = {}
    for key, value in numbers.items():
        name = f"{start}{key}"
        if isinstance(value, dict):
            flat |= flatten(value, f"{name}.")
        else:
            known = value is not None and math.isfinite(value)
            flat[name] = np.asarray(value).item() if known else None
    return flat


def spread(values: pd.Series) -> dict[str, float]:
    """State how many values there are, their mean, sample deviation, least and most."""
    return {
        "runs": len(values),
        "mean": values.mean(),
        "deviation": values.std(ddof=1),
        "least": values.min(),
        "most": values.max(),
    }


def data(study: Study) -> dict:
    """Count images, pixels and classes; the loss is that of a guess."""
    side, count = study.images.shape[1], study.labels.shape[1]
    return study.sizes | {
        "side": side,
        "pixels": side * side,
        "classes": count,
        "chance": 1 / count,
        "guess_loss": math.log(count),
    }


def training(study: Study, name: str) -> dict:
    """State size, epochs and last scores of a network, and its scores in other seeds."""
    history = study.histories[name]
    measures = ["loss", "validation_loss", "test_loss", "test_accuracy"]
    return {
        "parameters": study.models[name].count_params(),
        "epochs": len(history),
        **history.iloc[-1].drop("epoch"),
        **study.scores[name],
        "seeds": {measure: spread(other_runs(study, name, measure)) for measure in measures},
    }


def other_runs(study: Study, name: str, measure: str) -> pd.Series:
    """Return a measure of a network in each seed of the published recipe."""
    runs = study.runs
    return runs.value[(runs.stage == STAGES.get(name)) & (runs.measure == measure)]


def mistakes(study: Study) -> dict:
    """Count the test images that each classifier misreads."""
    images = len(study.labels)
    wrong = {
        name: round(images * (1 - study.scores[name]["test_accuracy"])) for name in ("mlp", "cnn")
    }
    return wrong | {"confident": len(worst_mistakes(study))}


def worst_mistakes(study: Study) -> pd.DataFrame:
    """List the eight misread test images of which the CNN is surest."""
    wrong = study.predictions[study.predictions.actual != study.predictions.predicted]
    return wrong.sort_values("probability", ascending=False, kind="stable").head(8)


def best_run(cells: pd.DataFrame) -> pd.Series:
    """Return the training with the highest validation accuracy, of several the first."""
    return cells.loc[cells.validation_accuracy.idxmax()]


def decay(study: Study) -> dict:
    """State the best run of the sweep, chosen by validation, and the bests of further sweeps."""
    best, summary = best_run(study.cells), summarise_sweep(study)
    bests = further_bests(study)
    return {
        "trainings": len(study.cells),
        "factors": len(summary),
        "best_factor": best.factor,
        "parameters": int(best.parameters),
        "validation_accuracy": best.validation_accuracy,
        "test_accuracy": best.test_accuracy,
        "share_of_parameters": study.models["cnn"].count_params() / best.parameters,
        "further_bests": dict(enumerate(bests, 1)),
    }


def summarise_sweep(study: Study) -> pd.DataFrame:
    """Summarise this run's final validation accuracies, a row for each factor."""
    groups = study.cells.groupby("factor").validation_accuracy
    return groups.agg(["mean", "std", "max"]).rename(columns={"max": "best"}).reset_index()


def measured_sweep(study: Study) -> pd.DataFrame:
    """Return the measured trainings of the published sweep: level (factor), seed, accuracies."""
    runs = study.runs[study.runs.stage == "sweep_l2"]
    table = runs.pivot(index=["level", "seed"], columns="measure", values="value").reset_index()
    return table.reindex(columns=["level", "seed", "validation_accuracy", "test_accuracy"])


def further_bests(study: Study) -> list[float]:
    """List test accuracies of the bests of further sweeps, each best chosen by validation.

    A sweep has as many replicates as the published one; this run's own replicates are left out.
    """
    runs = measured_sweep(study)
    own = study.parameters["sweep_l2"]["grid"]["replicates"]
    size = len(study.recipe["sweep_l2"]["grid"]["replicates"])
    others = sorted(set(runs.seed) - set(own))
    sweeps = [others[start : start + size] for start in range(0, len(others), size)]
    return [
        float(best_run(runs[runs.seed.isin(sweep)]).test_accuracy)
        for sweep in sweeps
        if len(sweep) == size
    ]


def summarise_factors(study: Study) -> pd.DataFrame:
    """Summarise measured test accuracies of the published sweep, a row for each factor."""
    groups = measured_sweep(study).groupby("level").test_accuracy
    rows = [{"factor": factor} | spread(values) for factor, values in groups]
    return pd.DataFrame(rows, columns=["factor", *spread(pd.Series(dtype=float))])


def factors(study: Study) -> dict:
    """Compare the differences between factors with the spread within one.

    The mean of n runs has the deviation of one, divided by √n.
    """
    table = summarise_factors(study)
    lowest = table[table["mean"] == table["mean"].min()].factor
    return {
        "runs": table.runs.max(),
        "lowest": lowest.iloc[0] if len(lowest) else None,
        "mean_deviation": table.deviation.max() / math.sqrt(max(table.runs.max(), 1)),
        "apart": table["mean"].max() - table["mean"].min(),
        "deviation": table.deviation.max(),
    }


def noise(study: Study) -> dict:
    """State rates, where denoising helps, and where it gains most. Questions 4b and 4c."""
    curve = noise_curve(study.counts)
    counting = drop_level_1(curve)
    gains = (counting if len(counting) else curve).eval("denoised - noisy")
    level = float(gains.idxmax())
    numbers = {kind: curve[kind].to_dict() for kind in KINDS}
    numbers |= {f"{kind}_half_at": crossing(curve[kind]) for kind in KINDS}
    numbers |= {f"gain_{kind}": curve[kind][level] for kind in KINDS}
    likeness = reconstruction(study)
    numbers |= {name: likeness[name].to_dict() for name in likeness}
    return (
        numbers
        | study.helps
        | {
            "gain_level": level,
            "notebook_half_at": notebook_half(study),
            "filter_ahead": len(leading_levels(curve, "filtered", "denoised")),
            "filter_behind": len(leading_levels(curve, "denoised", "filtered")),
        }
    )


def reconstruction(study: Study) -> pd.DataFrame:
    """Average likeness to the originals by level: columns noisy_ssim, noisy_psnr, ..."""
    means = study.reconstruction.groupby(["noise_level", "kind"])[["ssim", "psnr"]].mean()
    table = means.unstack("kind")
    return table.set_axis([f"{kind}_{measure}" for measure, kind in table.columns], axis=1)


def notebook_half(study: Study) -> float | None:
    """Say where half of the denoised images are lost in the study's notebook, run again."""
    rates = study.notebook.denoised.sort_index()
    return crossing(rates) if len(rates) else None


def seed_rates(study: Study) -> pd.DataFrame:
    """Return the rates in each seed of the published recipe: noisy, filtered, denoised.

    Indexed by noise_level and seed.
    """
    runs = study.runs[study.runs.stage == "eval_noise"]
    table = runs.pivot(index=["level", "seed"], columns="measure", values="value")
    return table.reindex(columns=KINDS).rename_axis(["noise_level", "seed"])


def count_leads(study: Study) -> pd.Series:
    """Count by noise level in how many seeds denoised images are read better than noisy ones."""
    rates = seed_rates(study)
    return (rates.denoised > rates.noisy).groupby("noise_level").sum()


def seeds(study: Study) -> dict:
    """Count seeds, and those in which denoising leads."""
    rates = seed_rates(study)
    return {
        "runs": rates.index.get_level_values("seed").nunique(),
        "denoising_leads": count_leads(study).to_dict(),
    }


def answer_shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the share of images read as each class: a row for each level and kind."""
    sums = counts.groupby(["noise_level", "kind", "label"])[["images", "answered"]].sum()
    answered = sums.answered.unstack("label")
    return answered.div(sums.images.unstack("label").sum(axis=1), axis=0)


def answers(counts: pd.DataFrame) -> dict:
    """State the most frequent answer by level, and the level at which it is most frequent."""
    shares = answer_shares(counts).xs("noisy", level="kind")
    most = shares.max(axis=1)
    level = float(most.idxmax())
    return {
        "answer": shares.idxmax(axis=1).to_dict(),
        "share": most.to_dict(),
        "most_level": level,
        "most_answer": int(shares.loc[level].idxmax()),
        "most_share": most[level],
    }


def class_rates(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the rates of each class that has images, by label and noise level."""
    seen = counts[counts.images > 0]
    sums = seen.groupby(["label", "noise_level", "kind"])[["images", "recognised"]].sum()
    return (sums.recognised / sums.images).unstack("kind").reindex(columns=KINDS)


def classes(study: Study) -> dict:
    """State which class is read best and worst where denoising gains most."""
    level = noise(study)["gain_level"]
    rates = class_rates(study.counts).xs(level, level="noise_level").denoised
    return {
        "best": int(rates.idxmax()),
        "best_rate": rates.max(),
        "worst": int(rates.idxmin()),
        "worst_rate": rates.min(),
        "mean_rate": rates.mean(),
    }


def own_number(study: Study, network: str, measure: str) -> float | None:
    """Return this run's number beside a published one."""
    if network == "noise":
        return study.helps[measure]
    if network == "sweep":
        return best_run(study.cells)[measure]
    if measure == "parameters":
        return study.models[network].count_params()
    return study.scores[network].get(measure, study.histories[network].iloc[-1].get(measure))


def compare(study: Study) -> pd.DataFrame:
    """Put each published number beside this run's and those of the seeds.

    `distance` is how many deviations it lies above the mean of the seeds.
    """
    rows = []
    for row in study.numbers.itertuples():
        own = own_number(study, row.network, row.measure)
        of_seeds = spread(other_runs(study, row.network, row.measure))
        entry = {"name": row.name, "published": row.published, "this_run": own}
        entry |= {"difference": None if own is None else own - row.published} | of_seeds
        rows.append(entry | {"distance": (row.published - entry["mean"]) / entry["deviation"]})
    columns = ["name", "published", "this_run", "difference", *spread(pd.Series(dtype=float))]
    return pd.DataFrame(rows, columns=[*columns, "distance"])


def compare_logs(study: Study) -> pd.DataFrame:
    """Put published training logs beside this run's, epoch by epoch.

    The sweep's log is of one replicate; beside it stands the mean of this run's with its factor.
    """
    own = {f"{stage}_history": study.histories[name] for name, stage in STAGES.items()}
    for factor, group in study.cell_histories.groupby("factor"):
        own[f"sweep_l2_history_{factor}"] = group.groupby("epoch", as_index=False).mean()
    tables = []
    for name in sorted(own.keys() & study.logs.keys()):
        published = study.logs[name].melt("epoch", var_name="measure", value_name="published")
        measured = own[name].melt("epoch", var_name="measure", value_name="this_run")
        tables.append(published.merge(measured, on=["epoch", "measure"]).assign(log=name))
    table = pd.concat(tables)
    table["difference"] = (table.this_run - table.published).astype(float).round(6)
    return table[["log", "epoch", "measure", "published", "this_run", "difference"]]
