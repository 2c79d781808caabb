"""Every number and verdict that the report states: analysis, no drawing.

`analyse` returns a dataclass for each section of the report; `report.md.j2` has the sentences.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.rates import (
    KINDS,
    crossing,
    drop_level_1,
    leading_levels,
    noise_curve,
    summarise_rates,
)
from page.statistics import (
    MARGIN,
    UNLIKELY,
    Interval,
    best_of_sets,
    confidence_interval,
    difference,
    difference_of_shares,
    further_run_probability,
    majority_is_clear,
    prediction_interval,
    quantile,
    share_at_least,
    share_at_most,
)
from page.study import SECTIONS, Network, Study

TRAINED = "CNN, trained on noise"  # the name of its curve
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


@dataclass(frozen=True)
class Perceptron:
    headline: str
    widths: list[int]  # of its layers of neurons; empty where others have weights
    weighted: int  # number of layers with weights
    hidden: list[str]  # activations of the hidden layers
    softmax: bool
    guess: float  # cross-entropy of a guess


@dataclass(frozen=True)
class Convolution:
    headline: str
    mistakes: int
    perceptron_mistakes: int
    lead: Interval  # in accuracy over the perceptron
    pool: str  # the field of its max pooling, or ""
    dropouts: list[tuple[float, str]]  # share, and the layer whose outputs are dropped
    disturbed: list[str]  # why training accuracy may be lower; empty where it is not
    large_lead: Interval  # over the large perceptron
    share: float  # of the large perceptron's parameters
    worst: pd.DataFrame  # the ten most confident mistakes: image, note


@dataclass(frozen=True)
class Effect:
    """Whether weight decay makes a difference."""

    verdict: str  # "helps", "costs", "none", "not shown" or "too few"
    factor: float
    weakest: float
    gap: Interval
    choices: int


@dataclass(frozen=True)
class WeightDecay:
    headline: str
    hidden: str  # sizes of the hidden layers, or "" where they are not known
    parameters: int
    best: dict  # the training with the best validation accuracy
    hinton: float | None
    distance: int  # images between that and Hinton's result
    bests: Fit | None  # of as many trainings, beside Hinton's result
    reached: float  # share of them that reach it
    factor: float
    expected: float
    further: Interval | None
    luckiest: float
    overstated: int  # images
    effect: Effect
    each: str  # trainings of each factor that the effect rests on
    summary: pd.DataFrame
    runs: pd.DataFrame | None
    runs_summary: pd.DataFrame | None


@dataclass(frozen=True)
class Autoencoder:
    headline: str
    code: int  # numbers in its narrowest layer; 0 where that is no narrower than the image
    halves: bool  # encoder and decoder are networks of their own
    noise: str


@dataclass(frozen=True)
class Noise:
    headline: str
    levels: list[dict]
    halves: dict[str, tuple[float | None, Interval | None]]  # by kind: this run's, other seeds'
    helps: list[float]  # levels at which denoising helps in this run
    gain: dict  # the level at which denoising gains most
    seeds: int
    starts: list[tuple[float, int]]  # first level at which denoising leads, and in how many seeds
    leads: str  # the levels at which it leads in clearly most seeds
    lead_counts: pd.DataFrame  # in how many seeds what leads, at each level
    filter_leads: str
    filter_trails: str
    filter_seeds: int  # 0: from this run's draws
    clean: dict[str, Interval]  # what each kind costs on clean images
    best_class: str
    worst_class: str
    curve: pd.DataFrame
    notebook: pd.DataFrame | None
    notebook_half: float | None
    band: pd.DataFrame | None
    by_class: dict[str, pd.DataFrame]
    class_rates: pd.DataFrame
    table: pd.DataFrame


@dataclass(frozen=True)
class Ways:
    """Training on noise against denoising, at the levels between 0 and 1."""

    seeds: int
    levels: int
    ahead: int
    behind: int
    joint_ahead: int
    most: Interval
    most_level: float
    most_rate: float
    clean: Interval | None  # what training on noise costs on clean images
    half_at: float | None


@dataclass(frozen=True)
class Robust:
    headline: str
    trained: str  # noise that this run's own first classifier trained on
    ways: Ways | None
    measured: bool  # whether other seeds that trained on noise compare with this run
    others: list[dict]  # what denoising gains each further classifier
    curves: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Findings:
    published: Published
    perceptron: Perceptron
    convolution: Convolution
    decay: WeightDecay
    autoencoder: Autoencoder
    noise: Noise
    robust: Robust


def analyse(study: Study) -> Findings:
    """Work out what text and figures state."""
    decay = find_decay(study)
    noise = find_noise(study)
    return Findings(
        published=find_published(study),
        perceptron=find_perceptron(study),
        convolution=find_convolution(study, decay),
        decay=decay,
        autoencoder=find_autoencoder(study),
        noise=noise,
        robust=find_robust(study, noise),
    )


def percent(share: float, digits: int = 2) -> str:
    """Write a share in percent."""
    return f"{100 * share:.{digits}f}\u00a0%"


def describe_noise(level) -> str:
    """Word the noise that a network was trained with; "" for none."""
    if isinstance(level, list):
        return f"levels from {level[0]:g} to {level[1]:g}"
    return f"level {level:g}" if level else ""


def name_levels(levels: Iterable[float], measured: Iterable[float]) -> str:
    """Word some of the `measured` levels: "from 0.1 to 0.4"."""
    levels, measured = sorted(levels), sorted(measured)
    if not levels:
        return ""
    if len(levels) == len(measured) > 1:
        return "at every level"
    if len(levels) == 1:
        return f"at level {levels[0]:g}"
    if levels == measured[: len(levels)]:
        return f"up to level {levels[-1]:g}"
    start = measured.index(levels[0])
    if levels == measured[start : start + len(levels)]:
        return f"from level {levels[0]:g} to {levels[-1]:g}"
    return "at levels " + ", ".join(f"{level:g}" for level in levels)


# Published numbers


def find_published(study: Study) -> Published:
    """Put published numbers beside this run's, and judge them."""
    rows, others, fits = [], [], {}
    for row in study.numbers.itertuples():
        if not study.compares(row.network, row.measure):
            continue
        own = own_number(study, row.network, row.measure)
        fit = None
        if row.name != "sweep_hinton":  # his recipe was another
            fit = judge_number(study, row.network, row.measure, row.published)
        distance = None if own is None else own - row.published
        judged = [None] * 6
        if fit:
            fits[row.name] = fit
            verdict = f"{fit.verdict} such a run"
            judged = [fit.runs, fit.typical, fit.low, fit.high, fit.p, verdict]
        rows.append([row.name, row.description, row.published, own, distance, *judged])
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
    if network == "noise":
        return judge_level(study.other_rates(study.first), measure, published)
    runs = study.other_trainings(network, measure)
    interval = prediction_interval(runs)
    if interval is None:
        return None
    probability = further_run_probability(runs, published)
    return Fit(len(runs), interval.middle, interval.low, interval.high, probability)


def best_of_sweeps(study: Study) -> pd.Series | None:
    """Distribute the best of a sweep like the published one."""
    groups = study.other_sweeps().groupby("factor").test_accuracy
    return best_of_sets([list(group) for _, group in groups], study.recipe["sweep"]["replicates"])


def judge_best(study: Study, published: float) -> Fit | None:
    """Judge the best of a sweep by bests of as many trainings."""
    bests = best_of_sweeps(study)
    if bests is None:
        return None
    tail = min(share_at_least(bests, published), share_at_most(bests, published))
    low, typical, high = (quantile(bests, share) for share in (UNLIKELY / 2, 0.5, 1 - UNLIKELY / 2))
    return Fit(len(study.other_sweeps()), typical, low, high, min(1.0, 2 * tail))


def judge_level(seeds: pd.DataFrame, measure: str, published: float) -> Fit | None:
    """Judge where denoising begins or ends to help by other seeds.

    `p` is the share of seeds that have the published level.
    """
    levels = leads_of_seeds(seeds)
    if len(levels) < 2:
        return None
    found = np.array([ENDS[measure](each) for each in levels])
    share = float(np.isclose(found, published).mean())
    return Fit(len(found), float(np.median(found)), found.min(), found.max(), share)


def leads_of_seeds(seeds: pd.DataFrame) -> list[list[float]]:
    """List, for each seed, the levels at which denoising leads.

    Seeds without such a level are left out.
    """
    if seeds.empty:
        return []
    counting = drop_level_1(seeds)
    ahead = counting[counting.denoised > counting.noisy].reset_index()
    return ahead.groupby("seed").noise_level.apply(sorted).tolist()


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


# The networks


def find_perceptron(study: Study) -> Perceptron:
    network = study.networks["mlp"]
    layers = network.layers
    weighted = layers[layers.parameters > 0]
    widths = weighted["size"].tolist() if set(weighted.kind) == {"Dense"} else []
    *hidden, last = layers.activation
    return Perceptron(
        headline=f"A small perceptron recognises {percent(network.scores['test_accuracy'], 1)} of "
        f"the {study.parameters['report']['item']}s",
        widths=widths,
        weighted=len(weighted),
        hidden=sorted(set(filter(None, hidden))),
        softmax=last == "softmax",
        guess=float(np.log(len(study.classes))),
    )


def compare_accuracies(first, second, own: tuple[float, float], images: int) -> Interval:
    """Compare accuracies of several runs, or else of this run alone."""
    if min(len(first), len(second)) > 1:
        return difference(first, second)
    return difference_of_shares(*own, images)


def find_convolution(study: Study, decay: WeightDecay) -> Convolution:
    cnn, mlp = study.networks["cnn"], study.networks["mlp"]
    images = study.sizes["test_images"]
    accuracy, other = cnn.scores["test_accuracy"], mlp.scores["test_accuracy"]
    seeds = study.other_trainings("cnn", "test_accuracy")
    sweeps = study.other_sweeps()
    large = sweeps.test_accuracy[sweeps.factor == decay.factor]
    large_lead = compare_accuracies(seeds, large, (accuracy, decay.expected), images)
    share = cnn.parameters / decay.parameters
    thrifty = share < 1 and large_lead.verdict == "more"
    fewer = ", with fewer weights than a large perceptron" if thrifty else ""
    pools = set(cnn.layers.pool[cnn.layers.kind == "MaxPooling2D"])
    return Convolution(
        headline=f"A convolutional network recognises {percent(accuracy, 1)}{fewer}",
        mistakes=round((1 - accuracy) * images),
        perceptron_mistakes=round((1 - other) * images),
        lead=compare_accuracies(
            seeds, study.other_trainings("mlp", "test_accuracy"), (accuracy, other), images
        ),
        pool=" × ".join(map(str, min(pools))) if pools else "",
        dropouts=find_dropouts(cnn.layers),
        disturbed=find_disturbances(study),
        large_lead=large_lead,
        share=share,
        worst=find_mistakes(study),
    )


def find_dropouts(layers: pd.DataFrame) -> list[tuple[float, str]]:
    """List the share that each dropout silences, and the layer before it."""
    before = layers.layer.shift(fill_value="the input")
    return [(rate, name) for rate, name in zip(layers.rate, before, strict=True) if rate > 0]


def find_disturbances(study: Study) -> list[str]:
    """Say why the CNN's training accuracy is lower, if it is."""
    cnn, parameters = study.networks["cnn"], study.parameters["train_cnn"]
    if cnn.scores["accuracy"] >= cnn.scores["validation_accuracy"]:
        return []
    reasons = {
        "with dropout": cnn.layers.rate.max() > 0,
        "on moved images": parameters["shift"],
        "with noise": parameters["noise_level"],
    }
    return [words for words, holds in reasons.items() if holds]


def find_mistakes(study: Study) -> pd.DataFrame:
    """List the ten mistakes with the highest probability: image, note."""
    table = study.predictions[study.predictions.actual != study.predictions.predicted]
    worst = table.sort_values("probability", ascending=False, kind="stable").head(10)
    names = study.classes
    notes = [f"{names[row.actual]} taken for {names[row.predicted]}" for row in worst.itertuples()]
    return pd.DataFrame({"image": worst.image.to_numpy(), "note": notes})


def find_autoencoder(study: Study) -> Autoencoder:
    network: Network = study.networks["autoencoder"]
    narrowest = int(network.layers["size"].min())
    code = narrowest if narrowest < network.pixels else 0
    item = study.parameters["report"]["item"]
    return Autoencoder(
        headline=f"An autoencoder redraws each {item}" + (f" from {code} numbers" if code else ""),
        code=code,
        halves={"encoder", "decoder"} <= set(network.layers.part),
        noise=describe_noise(study.parameters["train_ae"]["noise_level"]),
    )


# Weight decay


def summarise_sweep(cells: pd.DataFrame) -> pd.DataFrame:
    """Summarise the validation accuracies of each factor: columns factor, mean, std, best.

    The standard deviation is the sample's (ddof=1), NaN for a single replicate. The published
    code averaged two of the three replicates (`scores[i:i+2]`); this takes all.
    """
    accuracies = cells.groupby("factor", sort=True).validation_accuracy
    return accuracies.agg(["mean", "std", "max"]).rename(columns={"max": "best"}).reset_index()


def summarise_replicates(runs: pd.DataFrame) -> pd.DataFrame:
    """Give each factor's mean test accuracy with its 95 % interval."""
    rows = []
    for factor, accuracies in runs.groupby("factor").test_accuracy:
        interval = confidence_interval(accuracies) or Interval(accuracies.mean(), np.nan, np.nan)
        rows.append([factor, len(accuracies), *interval[:3], accuracies.max()])
    return pd.DataFrame(rows, columns=["factor", "runs", "mean", "from", "to", "best"])


def choose_factor(cells: pd.DataFrame) -> float:
    """Return the factor with the highest mean validation accuracy."""
    return float(cells.groupby("factor").validation_accuracy.mean().idxmax())


def judge_decay(cells: pd.DataFrame) -> Effect:
    """Judge whether weight decay has an effect.

    The weakest factor stands for none. The best of the others is chosen by validation, and
    compared with it on the test images. Since it was chosen among several, the interval is wide
    enough for each of them (Bonferroni).
    """
    accuracies = dict(iter(cells.groupby("factor").test_accuracy))
    weakest = min(accuracies)
    others = cells[cells.factor != weakest]
    factor = weakest if others.empty else choose_factor(others)
    choices = max(1, len(accuracies) - 1)
    gap = difference(accuracies[factor], accuracies[weakest], choices)
    if others.empty or gap.runs < 2:
        verdict = "too few"
    elif gap.verdict != "unclear":
        verdict = "helps" if gap.verdict == "more" else "costs"
    else:
        verdict = "none" if gap.high < MARGIN else "not shown"
    return Effect(verdict, factor, weakest, gap, choices)


def find_decay(study: Study) -> WeightDecay:
    cells, images = study.cells, study.sizes["test_images"]
    # Chosen by validation, of the highest the first; only then the test images are looked at.
    best = cells.loc[cells.validation_accuracy.idxmax()].to_dict()
    factor = choose_factor(cells)
    accuracies = cells.test_accuracy[cells.factor == factor]
    runs = study.other_sweeps()
    effect = judge_decay(cells if runs.empty else runs)
    again = runs.test_accuracy[runs.factor == factor]
    points = f"{abs(100 * effect.gap.middle):.2f} percentage points"
    headline = {
        "helps": f"Weight decay helps: factor {effect.factor} gains {points}",
        "costs": f"Weight decay costs {points} even with its best factor",
        "none": "Weight decay has no effect worth naming",
        "not shown": "Weight decay: an effect is not shown",
        "too few": "Weight decay: too few trainings to tell luck from effect",
    }[effect.verdict]
    hinton = None
    if study.compares("sweep", "test_accuracy"):
        hinton = study.numbers.set_index("name").published["sweep_hinton"]
    bests = best_of_sweeps(study)
    counts = sorted(set((cells if runs.empty else runs).groupby("factor").size()))
    return WeightDecay(
        headline=headline,
        hidden="" if study.deviations["sweep"] else study.recipe["sweep"]["hidden"],
        parameters=int(cells.parameters.iloc[0]),
        best=best,
        hinton=hinton,
        distance=round((best["test_accuracy"] - (hinton or 0)) * images),
        bests=judge_best(study, hinton) if hinton else None,
        reached=share_at_least(bests, hinton) if hinton and bests is not None else 0.0,
        factor=factor,
        expected=float(accuracies.mean()),
        further=prediction_interval(accuracies if again.empty else again),
        luckiest=float(cells.test_accuracy.max()),
        overstated=round((cells.test_accuracy.max() - accuracies.mean()) * images),
        effect=effect,
        each=" or ".join(map(str, counts)),
        summary=summarise_sweep(cells),
        runs=None if runs.empty else runs,
        runs_summary=None if runs.empty else summarise_replicates(runs),
    )


# Noise


def find_noise(study: Study) -> Noise:
    counts = study.counts[study.counts.classifier == study.first]
    curve = noise_curve(counts)
    seeds = study.other_rates(study.first)
    table = tabulate_noise(study, curve)
    by_class = {
        name: noise_curve(counts[counts.label == label]) for label, name in enumerate(study.classes)
    }
    rates = pd.DataFrame({name: each.denoised for name, each in by_class.items()})
    gain = largest_gain(curve)
    helps = leading_levels(curve, "denoised", "noisy")
    starts = Counter(map(min, leads_of_seeds(seeds)))
    filter_leads, filter_trails, filter_seeds = compare_filter(curve, seeds)
    same = study.first == "cnn" and study.same("cnn", "autoencoder")
    return Noise(
        headline=f"Denoising helps from noise level {helps[0]:g} to {helps[-1]:g}"
        if helps
        else "Denoising helps at no noise level",
        levels=[{"level": level} | row.to_dict() for level, row in table.iterrows()],
        halves={kind: find_half(curve, seeds, kind) for kind in KINDS},
        helps=helps,
        gain=gain,
        seeds=seeds.index.get_level_values("seed").nunique(),
        starts=sorted(starts.items()),
        leads=name_levels(*clear_leads(seeds, "denoised", "noisy")),
        lead_counts=list_leads(seeds),
        filter_leads=filter_leads,
        filter_trails=filter_trails,
        filter_seeds=filter_seeds,
        clean=find_clean_costs(curve, seeds, study.sizes["test_images"]),
        best_class=rates.loc[gain["level"]].idxmax(),
        worst_class=rates.loc[gain["level"]].idxmin(),
        curve=curve,
        notebook=study.notebook if same else None,
        notebook_half=crossing(study.notebook.denoised) if same else None,
        band=find_band(seeds, curve.index),
        by_class=by_class,
        class_rates=rates.melt(ignore_index=False, var_name="class", value_name="denoised"),
        table=table,
    )


def tabulate_noise(study: Study, curve: pd.DataFrame) -> pd.DataFrame:
    """Join what was measured at each noise level.

    The first classifier's rates have no suffix.
    """
    counts = study.counts.groupby("classifier")
    closeness = study.reconstruction.groupby(["noise_level", "kind"])[["ssim", "psnr"]].mean()
    closeness = closeness.unstack("kind")
    closeness.columns = [f"{kind}_{measure}" for measure, kind in closeness.columns]
    parts = [noise_curve(counts.get_group(study.first), "label")[KINDS].add_suffix("_class_mean")]
    for name, label in study.classifiers.items():
        if name != study.first:
            parts.append(noise_curve(counts.get_group(name)).add_suffix(study.suffixes[label]))
    return curve.join([*parts, closeness])


def find_half(curve, seeds, kind: str) -> tuple[float | None, Interval | None]:
    """Find where a rate falls below one half: this run's, other seeds'.

    The place is interpolated, so both must be measured at the same noise levels.
    """
    half = crossing(curve[kind])
    if kind not in seeds or set(curve.index) != set(seeds.index.get_level_values("noise_level")):
        return half, None
    halves = [crossing(rates.droplevel("seed")) for _, rates in seeds[kind].groupby("seed")]
    return half, prediction_interval([each for each in halves if each is not None])


def find_band(seeds: pd.DataFrame, levels) -> pd.DataFrame | None:
    """Give the 95 % interval of a further seed at each level.

    Its ends lie in [0, 1]; the columns are noisy_low, noisy_high and so on. None for too few seeds.
    """
    rows = {}
    for level, rates in seeds.groupby("noise_level"):
        if level in levels and len(rates) > 1:
            rows[level] = {}
            for kind in seeds.columns:
                low, high = np.clip(prediction_interval(rates[kind])[1:3], 0, 1)
                rows[level] |= {f"{kind}_low": low, f"{kind}_high": high}
    return pd.DataFrame.from_dict(rows, "index").rename_axis("noise_level") if rows else None


def count_leads(seeds: pd.DataFrame, kind: str, other: str) -> pd.DataFrame:
    """Count the seeds in which `kind` leads, and all, by noise level."""
    if not {kind, other} <= set(seeds.columns):
        return pd.DataFrame(columns=["sum", "size"])
    return (seeds[kind] > seeds[other]).groupby("noise_level").agg(["sum", "size"])


def list_leads(seeds: pd.DataFrame) -> pd.DataFrame:
    """Say in how many seeds what leads, by noise level."""
    pairs = ("denoised", "noisy"), ("filtered", "noisy"), ("filtered", "denoised")
    counts = {f"{kind} leads {other}": count_leads(seeds, kind, other) for kind, other in pairs}
    columns = {
        name: table["sum"].astype(str) + " of " + table["size"].astype(str)
        for name, table in counts.items()
        if len(table)
    }
    return pd.DataFrame(columns).rename_axis("noise level").reset_index()


def clear_leads(seeds: pd.DataFrame, kind: str, other: str) -> tuple[list, list]:
    """List the levels at which `kind` leads in clearly most seeds.

    The second list has all levels that were measured.
    """
    counts = count_leads(drop_level_1(seeds), kind, other)
    clear = [majority_is_clear(int(leads), int(runs)) for leads, runs in counts.to_numpy()]
    return counts.index[clear].tolist(), counts.index.tolist()


def compare_filter(curve: pd.DataFrame, seeds: pd.DataFrame) -> tuple[str, str, int]:
    """Say where the median filter beats the autoencoder, and where not.

    From as many seeds as the third number says; from this run's draws where it is 0.
    """
    runs = seeds.index.get_level_values("seed").nunique()
    pairs = ("filtered", "denoised"), ("denoised", "filtered")
    if "filtered" in seeds and majority_is_clear(runs, runs):
        return *(name_levels(*clear_leads(seeds, *pair)) for pair in pairs), runs
    curve = drop_level_1(curve)
    return *(name_levels(leading_levels(curve, *pair), curve.index) for pair in pairs), 0


def find_clean_costs(curve, seeds, images: int) -> dict[str, Interval]:
    """Say what filter and autoencoder cost on clean images, if measured."""
    if 0 not in curve.index:
        return {}
    costs = {}
    clean = seeds[seeds.index.get_level_values("noise_level") == 0]
    for kind in "filtered", "denoised":
        costs[kind] = difference_of_shares(curve.noisy[0], curve[kind][0], images)
        if kind in clean and len(clean) > 1:
            costs[kind] = confidence_interval(clean.noisy - clean[kind])
    return costs


def largest_gain(curve: pd.DataFrame) -> dict:
    """Find the level at which denoising raises the rate most.

    It is level 1 only where no other was measured.
    """
    gains = curve.denoised - curve.noisy
    counting = drop_level_1(gains)
    level = float(gains.idxmax() if counting.empty else counting.idxmax())
    return {"level": level} | curve.loc[level].to_dict()


# Training on noise, and other classifiers


def find_robust(study: Study, noise: Noise) -> Robust:
    own = study.parameters["train_cnn"]["noise_level"] if study.first == "cnn" else None
    counts = study.counts.groupby("classifier")
    curves = {
        label: noise_curve(counts.get_group(name)) for name, label in study.classifiers.items()
    }
    trained = study.other_rates("cnn", "robust") if study.first == "cnn" else pd.DataFrame()
    ways = compare_ways(study.other_rates("cnn"), trained, noise.curve.index)
    if len(trained):
        rates = trained.stack().rename("rate").reset_index()
        curves[TRAINED] = summarise_rates(rates)
    if ways is None and own:
        gains = "still gains from" if noise.helps else "needs no"
        headline = f"Trained on noise, the network {gains} denoising"
    elif ways is None:
        headline = "What denoising gains each classifier"
    elif ways.ahead == ways.levels and not ways.joint_ahead:
        headline = "A network that trains on noise needs no denoising"
    elif ways.ahead:
        headline = (
            f"Training on noise beats denoising at {ways.ahead} of {ways.levels} noise levels"
        )
    elif ways.behind:
        headline = (
            f"Denoising beats training on noise at {ways.behind} of {ways.levels} noise levels"
        )
    else:
        headline = "Training on noise or denoising: no difference is shown"
    return Robust(
        headline=headline,
        trained=describe_noise(own),
        ways=ways,
        measured=len(trained) > 0,
        others=[
            compare_gains(study, name, curves) for name in study.classifiers if name != study.first
        ],
        curves=curves,
    )


def compare_ways(own: pd.DataFrame, trained: pd.DataFrame, levels) -> Ways | None:
    """Compare training on noise with denoising.

    None where both were measured at no level. Both are indexed by seed and noise_level. Only levels
    between 0 and 1 count: at 0 there is no noise, at 1 nothing but noise. A lead counts where the
    95 % interval of the difference, widened for the number of levels (Bonferroni), lies above 0.
    """
    if own.empty or trained.empty:
        return None
    own, trained = (dict(iter(table.groupby("noise_level"))) for table in (own, trained))
    shared = sorted(set(levels) & own.keys() & trained.keys())
    noisy = [level for level in shared if 0 < level < 1]
    if not noisy:
        return None
    leads, joint = {}, {}
    for level in noisy:
        alone = trained[level].noisy
        leads[level] = difference(alone, own[level].denoised, len(noisy))
        joint[level] = difference(trained[level].denoised, alone, len(noisy))
    most = max(leads, key=lambda level: leads[level].middle)
    clean = difference(own[0].noisy, trained[0].noisy) if 0 in shared else None
    return Ways(
        seeds=len(trained[most]),
        levels=len(noisy),
        ahead=sum(lead.verdict == "more" for lead in leads.values()),
        behind=sum(lead.verdict == "less" for lead in leads.values()),
        joint_ahead=sum(lead.verdict == "more" for lead in joint.values()),
        most=leads[most],
        most_level=most,
        most_rate=float(trained[most].noisy.mean()),
        clean=clean,
        half_at=crossing(pd.Series({level: each.noisy.mean() for level, each in trained.items()})),
    )


def compare_gains(study: Study, name: str, curves: dict[str, pd.DataFrame]) -> dict:
    """Compare what denoising gains a classifier with what it gains the first.

    `verdict` is "more", "less" or "unclear": over seeds by a sign test, else over this run's draws
    by two standard deviations. `ahead` of `seeds` gain more.
    """
    label, first = study.classifiers[name], study.classifiers[study.first]
    gain, other = (largest_gain(curves[each]) for each in (label, first))
    lead = gain["denoised"] - gain["noisy"] - other["denoised"] + other["noisy"]
    deviations = [each[f"{kind}_std"] for each in (gain, other) for kind in ("denoised", "noisy")]
    doubt = 2 * np.hypot.reduce(deviations)
    more, less = lead > doubt, -lead > doubt
    runs = [study.other_rates(each) for each in (name, study.first)]
    runs = [drop_level_1(each) for each in runs if len(each)]
    gains = [(each.denoised - each.noisy).groupby("seed").max() for each in runs]
    leads = (gains[0] - gains[1]).dropna() if len(gains) == 2 else pd.Series(dtype=float)
    seeds, ahead = len(leads), int((leads > 0).sum())
    if majority_is_clear(seeds, seeds):  # so many seeds can tell
        more, less = majority_is_clear(ahead, seeds), majority_is_clear(seeds - ahead, seeds)
    verdict = "more" if more else "less" if less else "unclear"
    return gain | {"name": label, "verdict": verdict, "seeds": seeds, "ahead": ahead}
