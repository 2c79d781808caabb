"""Every number and verdict that the report states: analysis, no drawing.

`analyse` returns a dataclass for each section of the report; `report.md.j2` has the sentences.
Those on noise are in `denoising.py`, those on published numbers in `published.py`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.denoising import Noise, Robust, find_noise, find_robust
from reporting.published import Published, best_of_sweeps, find_published
from reporting.statistics import (
    MARGIN,
    Interval,
    confidence_interval,
    difference,
    difference_of_shares,
    prediction_interval,
    share_at_least,
)
from reporting.study import Network, Study
from reporting.words import describe_noise, percent


@dataclass(frozen=True)
class Perceptron:
    headline: str
    widths: list[int]  # of its layers of neurons; empty where others have weights
    weighted: int  # number of layers with weights
    hidden: list[str]  # activations of the hidden layers
    softmax: bool
    guess: float  # cross-entropy of a guess


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


@dataclass(frozen=True)
class Effect:
    """Whether weight decay makes a difference."""

    verdict: str  # "helps", "costs", "none", "not shown" or "too few"
    factor: float
    weakest: float
    gap: Interval
    choices: int


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
    if others.empty or np.isinf(gap.high):
        verdict = "too few"
    elif gap.verdict != "unclear":
        verdict = "helps" if gap.verdict == "more" else "costs"
    else:
        small = gap.low > -MARGIN and gap.high < MARGIN
        verdict = "none" if small else "not shown"
    return Effect(verdict, factor, weakest, gap, choices)


def choose_factor(cells: pd.DataFrame) -> float:
    """Return the factor with the highest mean validation accuracy."""
    return float(cells.groupby("factor").validation_accuracy.mean().idxmax())


@dataclass(frozen=True)
class WeightDecay:
    headline: str
    hidden: str  # sizes of the hidden layers, or "" where they are not known
    parameters: int
    best: dict  # the training with the best validation accuracy
    hinton: float | None
    distance: int  # images between that and Hinton's result
    reached: float | None  # share of bests of as many trainings that reach Hinton's result
    factor: float
    mean: float  # of this run's trainings with that factor
    expected: float  # of a further one
    further: Interval | None  # that it comes from
    unseen: int  # runs behind it that had no part in choosing the factor; 0: it is this run's
    luckiest: float
    overstated: int  # images
    effect: Effect
    replicates: str  # trainings of each factor that the effect rests on
    summary: pd.DataFrame
    sweeps: pd.DataFrame | None
    sweeps_summary: pd.DataFrame | None


def find_decay(study: Study) -> WeightDecay:
    cells, images = study.cells, study.sizes["test_images"]
    # Chosen by validation, of the highest the first; only then the test images are looked at.
    best = cells.loc[cells.validation_accuracy.idxmax()].to_dict()
    factor = choose_factor(cells)
    accuracies = cells.test_accuracy[cells.factor == factor]
    runs = study.other_sweeps()
    effect = judge_decay(cells if runs.empty else runs)
    # Runs that had no part in the choice of the factor: a choice favours lucky runs.
    unseen = runs[(runs.factor == factor) & ~runs.replicate.isin(cells.replicate)]
    of_unseen = prediction_interval(unseen.test_accuracy)
    further = of_unseen or prediction_interval(accuracies)
    expected = further.middle if further else float(accuracies.mean())
    points = f"{abs(100 * effect.gap.middle):.2f} percentage points"
    headline = {
        "helps": f"Weight decay helps: factor {effect.factor} gains {points}",
        "costs": f"Weight decay costs {points} even with its best factor",
        "none": "Weight decay has no effect worth naming",
        "not shown": "Weight decay: a gain is not shown",
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
        reached=share_at_least(bests, hinton) if hinton and bests is not None else None,
        factor=factor,
        mean=float(accuracies.mean()),
        expected=expected,
        further=further,
        unseen=of_unseen.runs if of_unseen else 0,
        luckiest=float(cells.test_accuracy.max()),
        overstated=round((cells.test_accuracy.max() - expected) * images),
        effect=effect,
        replicates=" or ".join(map(str, counts)),
        summary=summarise_sweep(cells),
        sweeps=None if runs.empty else runs,
        sweeps_summary=None if runs.empty else summarise_replicates(runs),
    )


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


def find_convolution(study: Study, decay: WeightDecay) -> Convolution:
    cnn, mlp = study.networks["cnn"], study.networks["mlp"]
    images = study.sizes["test_images"]
    accuracy, other = cnn.scores["test_accuracy"], mlp.scores["test_accuracy"]
    seeds = study.other_trainings("cnn", "test_accuracy")
    sweeps = study.other_sweeps()
    large = sweeps.test_accuracy[sweeps.factor == decay.factor]
    large_lead = compare_accuracies(seeds, large, (accuracy, decay.mean), images)
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


def compare_accuracies(first, second, own: tuple[float, float], images: int) -> Interval:
    """Compare accuracies of several runs, or else of this run alone."""
    if min(len(first), len(second)) > 1:
        return difference(first, second)
    return difference_of_shares(*own, images)


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


@dataclass(frozen=True)
class Autoencoder:
    headline: str
    code: int  # numbers in its narrowest layer; 0 where that is no narrower than the image
    has_two_parts: bool  # encoder and decoder are networks of their own
    noise: str


def find_autoencoder(study: Study) -> Autoencoder:
    network: Network = study.networks["autoencoder"]
    narrowest = int(network.layers["size"].min())
    code = narrowest if narrowest < network.pixels else 0
    item = study.parameters["report"]["item"]
    return Autoencoder(
        headline=f"An autoencoder redraws each {item}" + (f" from {code} numbers" if code else ""),
        code=code,
        has_two_parts={"encoder", "decoder"} <= set(network.layers.part),
        noise=describe_noise(study.parameters["train_ae"]["noise_level"]),
    )


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
