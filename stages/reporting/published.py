"""Published numbers beside this run's, and whether they fit other seeds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.denoising import leads_of_seeds
from reporting.statistics import (
    UNLIKELY,
    best_of_further_runs,
    further_run_probability,
    prediction_interval,
    quantile,
    share_at_least,
    share_at_most,
)
from reporting.study import SECTIONS, Study

ENDS = {"helps_from": min, "helps_to": max}  # of the levels at which denoising helps


@dataclass(frozen=True)
class Fit:
    """How a published number fits runs of the published recipe."""

    runs: int
    typical: float
    low: float
    high: float
    p: float

    @property
    def is_likely(self) -> bool:
        return self.p >= UNLIKELY

    @property
    def verdict(self) -> str:
        return "could well be" if self.is_likely else "is unlikely to be"


@dataclass(frozen=True)
class Published:
    """Published numbers beside this run's, and how they fit other runs."""

    headline: str
    fits: dict[str, Fit]  # by the number's name
    numbers: pd.DataFrame
    others: pd.DataFrame  # what each other run gave: name, value
    logs: pd.DataFrame


def find_published(study: Study) -> Published:
    """Put published numbers beside this run's, and judge them."""
    rows, others, fits = [], [], {}
    for row in study.numbers.itertuples():
        if not study.compares(row.network, row.measure):
            continue
        own = own_number(study, row.network, row.measure)
        entry = {"name": row.name, "description": row.description, "published": row.published}
        entry |= {"this_run": own, "difference": None if own is None else own - row.published}
        fit = None
        if row.name != "sweep_hinton":  # his recipe was another
            fit = judge_number(study, row.network, row.measure, row.published)
        if fit:
            fits[row.name] = fit
            entry |= {"runs": fit.runs, "typical": fit.typical, "from": fit.low, "to": fit.high}
            entry |= {"p": fit.p, "verdict": f"{fit.verdict} such a run"}
        if row.network == "noise":
            entry |= describe_level(study.other_rates(study.first), row.measure)
        rows.append(entry)
        if row.network in study.networks:
            runs = study.other_trainings(row.network, row.measure)
            others += [(row.name, value) for value in runs]
    columns = ["name", "description", "published", "this_run", "difference"]
    columns += ["runs", "typical", "from", "to", "p", "verdict"]
    likely = sum(fit.is_likely for fit in fits.values())
    if not rows:
        headline = "No published number compares with this run"
    elif not fits:
        headline = "Published numbers beside this run's"
    else:
        headline = f"{likely} of {len(fits)} published numbers could well be runs like ours"
    return Published(
        headline=headline,
        fits=fits,
        numbers=pd.DataFrame(rows, columns=columns),
        others=pd.DataFrame(others, columns=["name", "value"]),
        logs=compare_logs(study),
    )


def own_number(study: Study, network: str, measure: str) -> float | None:
    """Return this run's number beside a published one."""
    if network == "noise":
        return study.noise[measure]
    if network == "sweep":
        return float(study.cells.loc[study.cells.validation_accuracy.idxmax(), measure])
    return study.networks[network].scores[measure]


def judge_number(study: Study, network: str, measure: str, published: float) -> Fit | None:
    """Judge a published number by runs of its recipe, if they compare."""
    if network == "sweep":
        return judge_best(study, published)
    if network == "noise":  # the study judged by eye where denoising helps
        return None
    runs = study.other_trainings(network, measure)
    interval = prediction_interval(runs)
    if interval is None:
        return None
    probability = further_run_probability(runs, published)
    return Fit(len(runs), interval.middle, interval.low, interval.high, probability)


def best_of_sweeps(study: Study) -> pd.Series | None:
    """Estimate how the best of a sweep like the published one is distributed."""
    groups = study.other_sweeps().groupby("factor").test_accuracy
    if len(groups) < len(study.recipe["parameters"]["sweep_l2"]["grid"]["factors"]):
        return None
    replicates = study.recipe["sweep"]["replicates"]
    return best_of_further_runs([list(group) for _, group in groups], replicates)


def judge_best(study: Study, published: float) -> Fit | None:
    """Judge the best of a sweep by the bests of further sweeps."""
    bests = best_of_sweeps(study)
    if bests is None:
        return None
    tail = min(share_at_least(bests, published), share_at_most(bests, published))
    low, typical, high = (quantile(bests, share) for share in (UNLIKELY / 2, 0.5, 1 - UNLIKELY / 2))
    return Fit(len(study.other_sweeps()), typical, low, high, min(1.0, 2 * tail))


def describe_level(seeds: pd.DataFrame, measure: str) -> dict:
    """Say where denoising begins or ends to help with other seeds."""
    levels = [ENDS[measure](each) for each in leads_of_seeds(seeds)]
    if len(levels) < 2:
        return {}
    middle = float(np.median(levels))
    return {"runs": len(levels), "typical": middle, "from": min(levels), "to": max(levels)}


def compare_logs(study: Study) -> pd.DataFrame:
    """Put published training logs beside this run's, number by number.

    Only where the recipe is the published one. The sweep's log is of one replicate; beside it
    stands the mean of this run's with its factor.
    """
    own = {
        f"{SECTIONS[name]}_history": network.history
        for name, network in study.networks.items()
        if study.same(name)
    }
    if study.same("sweep"):
        for factor, group in study.cell_histories.groupby("factor"):
            own[f"sweep_l2_history_{factor}"] = group.groupby("epoch", as_index=False).mean()
    columns = ["log", "epoch", "measure", "published", "this_run"]
    tables = []
    for name in sorted(own.keys() & study.logs.keys()):
        published = study.logs[name].melt("epoch", var_name="measure", value_name="published")
        measured = own[name].melt("epoch", var_name="measure", value_name="this_run")
        rows = published.merge(measured, on=["epoch", "measure"]).assign(log=name)
        tables.append(rows[columns])
    table = pd.concat(tables) if tables else pd.DataFrame(columns=columns)
    return table.assign(difference=table.this_run - table.published).round(6)
