"""What noise, a filter and denoising do to the readings (4b to 4d)."""

from collections import Counter
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
from reporting.statistics import (
    Interval,
    confidence_interval,
    difference,
    difference_of_shares,
    majority_is_clear,
    prediction_interval,
)
from reporting.study import Study
from reporting.words import describe_noise, name_levels

TRAINED = "CNN, trained on noise"  # the name of its curve


@dataclass(frozen=True)
class Noise:
    headline: str
    levels: list[dict]
    # Where a rate falls below one half, by kind: in this run, and with further seeds.
    half_levels: dict[str, tuple[float | None, Interval | None]]
    helps: list[float]  # levels at which denoising helps in this run
    gain: dict  # the level at which denoising gains most
    seeds: int
    starts: list[tuple[float, int]]  # first level at which denoising leads, and in how many seeds
    shown: list[float]  # levels at which it leads in clearly most seeds; with few, `helps`
    leads: str  # the levels at which it leads in clearly most seeds, in words
    lead_counts: pd.DataFrame  # in how many seeds what leads, at each level
    filter_leads: str
    filter_trails: str
    filter_seeds: int  # that tell where the filter leads and trails; 0: this run's draws do
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
    shown, leads, told_by_seeds = find_leads(curve, seeds, "denoised", "noisy")
    starts = Counter(map(min, leads_of_seeds(seeds)))
    _, filter_leads, filter_seeds = find_leads(curve, seeds, "filtered", "denoised")
    _, filter_trails, _ = find_leads(curve, seeds, "denoised", "filtered")
    same = study.first == "cnn" and study.same("cnn", "autoencoder")
    return Noise(
        headline=f"Denoising helps from noise level {shown[0]:g} to {shown[-1]:g}"
        if shown
        else "Denoising helps at no noise level",
        levels=[{"level": level} | row.to_dict() for level, row in table.iterrows()],
        half_levels={kind: find_half(curve, seeds, kind) for kind in KINDS},
        helps=helps,
        gain=gain,
        seeds=seeds.index.get_level_values("seed").nunique(),
        starts=sorted(starts.items()),
        shown=shown,
        leads=leads if told_by_seeds else "",
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
    if set(curve.index) != set(seeds.index.get_level_values("noise_level")):
        return half, None
    halves = [crossing(rates.droplevel("seed")) for _, rates in seeds[kind].groupby("seed")]
    return half, None if None in halves else prediction_interval(halves)


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


def leads_of_seeds(seeds: pd.DataFrame) -> list[list[float]]:
    """List, for each seed, the levels at which denoising leads.

    Seeds without such a level are left out.
    """
    if seeds.empty:
        return []
    counting = drop_level_1(seeds)
    ahead = counting[counting.denoised > counting.noisy].reset_index()
    return ahead.groupby("seed").noise_level.apply(sorted).tolist()


def count_leads(seeds: pd.DataFrame, kind: str, other: str) -> pd.DataFrame:
    """Count the seeds in which `kind` leads, and all, by noise level."""
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


def find_leads(curve, seeds, kind: str, other: str) -> tuple[list[float], str, int]:
    """Find the levels at which `kind` leads: as a list, and in words.

    In clearly most seeds, of which the third is the number. It is 0 where there are too few: then
    the levels are those of this run's draws.
    """
    counts = count_leads(drop_level_1(seeds), kind, other)
    runs = int(counts["size"].max()) if len(counts) else 0
    if not majority_is_clear(runs, runs, len(counts)):
        levels = leading_levels(curve, kind, other)
        return levels, name_levels(levels, drop_level_1(curve).index), 0
    clear = [
        majority_is_clear(int(ahead), int(seen), len(counts))
        for ahead, seen in counts[["sum", "size"]].to_numpy()
    ]
    levels = counts.index[clear].tolist()
    return levels, name_levels(levels, counts.index), runs


def find_clean_costs(curve, seeds, images: int) -> dict[str, Interval]:
    """Say what filter and autoencoder cost on clean images, if measured."""
    if 0 not in curve.index:
        return {}
    costs = {}
    clean = seeds[seeds.index.get_level_values("noise_level") == 0]
    for kind in "filtered", "denoised":
        costs[kind] = difference_of_shares(curve.noisy[0], curve[kind][0], images)
        if len(clean) > 1:
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


@dataclass(frozen=True)
class Ways:
    """Training on noise against denoising, at the levels between 0 and 1."""

    seeds: int
    levels: int
    ahead: int
    behind: int
    joint_ahead: int  # levels at which denoising raises or lowers the rate of the trained network
    joint_behind: int
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
    leads, joint = {}, Counter()
    for level in noisy:
        alone = trained[level].noisy
        leads[level] = difference(alone, own[level].denoised, len(noisy))
        if gain := confidence_interval(trained[level].denoised - alone, len(noisy)):
            joint[gain.verdict] += 1
    verdicts = Counter(lead.verdict for lead in leads.values())
    most = max(leads, key=lambda level: leads[level].middle)
    clean = difference(own[0].noisy, trained[0].noisy) if 0 in shared else None
    return Ways(
        seeds=len(trained[most]),
        levels=len(noisy),
        ahead=verdicts["more"],
        behind=verdicts["less"],
        joint_ahead=joint["more"],
        joint_behind=joint["less"],
        most=leads[most],
        most_level=most,
        most_rate=float(trained[most].noisy.mean()),
        clean=clean,
        half_at=crossing(pd.Series({level: each.noisy.mean() for level, each in trained.items()})),
    )


def compare_gains(study: Study, name: str, curves: dict[str, pd.DataFrame]) -> dict:
    """Compare what denoising gains a classifier with what it gains the first.

    `verdict` is "more", "less" or "unclear": over seeds by the 95 % interval `lead` of the
    difference of their largest gains; where that is None, over this run's draws by two standard
    deviations.
    """
    label, first = study.classifiers[name], study.classifiers[study.first]
    gain, other = (largest_gain(curves[each]) for each in (label, first))
    distance = gain["denoised"] - gain["noisy"] - other["denoised"] + other["noisy"]
    deviations = [each[f"{kind}_std"] for each in (gain, other) for kind in ("denoised", "noisy")]
    doubt = 2 * np.hypot.reduce(deviations)
    verdict = "more" if distance > doubt else "less" if -distance > doubt else "unclear"
    runs = [drop_level_1(study.other_rates(each)) for each in (name, study.first)]
    gains = [(each.denoised - each.noisy).groupby("seed").max() for each in runs]
    lead = confidence_interval((gains[0] - gains[1]).dropna())
    if lead is not None:
        verdict = lead.verdict
    return gain | {"name": label, "verdict": verdict, "lead": lead}
