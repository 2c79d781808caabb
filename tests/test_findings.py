"""The report's numbers, verdicts and sentences follow the measurements."""

import dataclasses
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from scipy import stats

from common.rates import noise_curve, noise_findings
from reporting import denoising, findings, published, statistics, text
from reporting.study import Network, Study

PUBLISHED = Path(__file__).parents[1] / "published"
LEVELS = [0.0, 0.2, 0.4, 0.6, 1.0]
KINDS = "noisy", "filtered", "denoised"
FACTORS = [1e-6, 0.00025075, 0.0005005, 0.00075025, 0.001]
HELPS = {
    "noisy": [0.99, 0.90, 0.60, 0.20, 0.10],
    "filtered": [0.98, 0.96, 0.80, 0.50, 0.10],
    "denoised": [0.95, 0.95, 0.92, 0.70, 0.10],
}
HARMS = HELPS | {"denoised": [0.90, 0.80, 0.55, 0.15, 0.10], "filtered": [0.9, 0.7, 0.5, 0.1, 0.1]}


def spread(middle: float, width: float, count: int = 10) -> list[float]:
    """Return numbers evenly spaced around the middle."""
    return list(np.linspace(middle - width, middle + width, count))


def make_counts(rates: dict, classifier="cnn", classes=10) -> pd.DataFrame:
    """Make counts as eval_noise leaves them, nearly the same in each of two draws."""
    columns = ["classifier", "noise_level", "draw", "kind", "label", "images", "recognised"]
    rows = [
        (classifier, level, draw, kind, label, 1000, round(1000 * rates[kind][index]) + draw)
        for index, level in enumerate(LEVELS)
        for kind in KINDS
        for draw in range(2)
        for label in range(classes)
    ]
    return pd.DataFrame(rows, columns=columns)


def make_rates(rates: dict, recipe="published", classifier="cnn", seeds=10) -> pd.DataFrame:
    """Make rates as measured with other seeds, a little apart."""
    shift = np.arange(seeds) - (seeds - 1) / 2
    rows = [
        (recipe, seed, classifier, level, kind, rates[kind][index] + 0.001 * shift[seed])
        for seed in range(seeds)
        for index, level in enumerate(LEVELS)
        for kind in rates
    ]
    columns = ["recipe", "seed", "classifier", "noise_level", "kind", "rate"]
    return pd.DataFrame(rows, columns=columns)


def make_sweep(means: dict, width=0.0005, runs=10) -> pd.DataFrame:
    rows = [
        ("published", factor, replicate, accuracy, accuracy)
        for factor, middle in means.items()
        for replicate, accuracy in enumerate(spread(middle, width, runs), 1)
    ]
    columns = ["recipe", "factor", "replicate", "validation_accuracy", "test_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def make_network(layers: list, loss: str, optimizer: str, scores: dict, inputs) -> Network:
    table = pd.DataFrame(layers, columns=["kind", "activation", "output", "parameters"])
    table["output"] = table.output.map(tuple)
    table = table.assign(
        layer=[f"layer {row}" for row in range(len(table))],
        part="",
        size=table.output.map(math.prod),
        rate=0.5 * (table.kind == "Dropout"),
        pool=[(2, 2) if kind == "MaxPooling2D" else () for kind in table.kind],
    )
    history = pd.DataFrame([{"epoch": 1} | scores])
    parameters = int(table.parameters.sum())
    return Network(table, parameters, inputs, loss, optimizer, history, scores)


def make_study(own=HELPS, classifiers=None, classes=10, **changes) -> Study:
    """Make a study of the published recipe, with made-up results; `changes` are its fields."""
    recipe = YAML(typ="safe").load(PUBLISHED / "recipe.yaml")
    recipe["noise"]["levels"] = LEVELS
    scores = {"loss": 0.11, "accuracy": 0.98, "validation_loss": 0.12, "validation_accuracy": 0.99}
    scores |= {"test_loss": 0.03, "test_accuracy": 0.99}
    networks = {
        name: make_network(**network, scores=scores, inputs=(28, 28, 1))
        for name, network in recipe["networks"].items()
    }
    networks["mlp"].scores["test_accuracy"] = 0.97
    classifiers = classifiers or {"cnn": "CNN", "mlp": "Perceptron"}
    parameters = YAML(typ="safe").load(PUBLISHED / "recipe.yaml")["parameters"]
    parameters["sweep_l2"]["grid"]["replicates"] = [1, 2, 3]
    parameters["eval_noise"] = {"classifiers": classifiers, "noise_levels": LEVELS, "draws": 2}
    parameters["report"] = {"dataset": "MNIST", "item": "digit", "classes": None}
    cells = make_sweep(dict.fromkeys(FACTORS, 0.982) | {0.0005005: 0.983}, runs=3)
    cells = cells.assign(parameters=545_810).drop(columns="recipe")
    counts = pd.concat(make_counts(own, name, classes) for name in classifiers)
    curve = noise_curve(counts[counts.classifier == next(iter(classifiers))])
    places = itertools.product(LEVELS, [0], KINDS)
    closeness = pd.DataFrame(places, columns=["noise_level", "draw", "kind"])
    predictions = {"actual": [4, 4, 4, 0], "predicted": [1, 1, 4, 4]}
    measured = {name: [spread(0.99, 0.001), spread(0.03, 0.005)] for name in networks}
    trainings = pd.concat(
        pd.DataFrame({"test_accuracy": accuracy, "test_loss": loss, "loss": loss}).assign(
            recipe="published", network=name, validation_loss=loss
        )
        for name, (accuracy, loss) in measured.items()
    )
    study = {
        "parameters": parameters,
        "versions": pd.DataFrame({"package": ["keras"], "version": ["3"]}),
        "sizes": {"training_images": 60000, "validation_images": 10000, "test_images": 10000},
        "image": (28, 28, 1),
        "classes": [str(number) for number in range(classes)],
        "networks": networks,
        "cells": cells,
        "cell_histories": pd.DataFrame({"factor": [0.001], "epoch": [1], "loss": [1.2]}),
        "counts": counts,
        "reconstruction": closeness.assign(ssim=0.5, psnr=10.0),
        "noise": noise_findings(curve),
        "predictions": pd.DataFrame(predictions).assign(image=range(4), probability=0.9),
        "numbers": pd.read_csv(PUBLISHED / "numbers.csv"),
        "recipe": recipe,
        "logs": {path.stem: pd.read_csv(path) for path in PUBLISHED.glob("*_history*.csv")},
        "notebook": pd.read_csv(PUBLISHED / "notebook_rerun_noise.csv", index_col="noise_level"),
        "trainings": trainings,
        "sweeps": make_sweep(dict.fromkeys(FACTORS, 0.982) | {0.0005005: 0.983}),
        "rates": pd.concat(
            [make_rates(HELPS), make_rates(HELPS, classifier="mlp"), make_rates(HELPS, "robust")]
        ),
    }
    return Study(**study | changes)


@pytest.fixture
def tell():
    """Return a function that makes a study, and gives its report as text."""

    def tell(**changes) -> str:
        study = make_study(**changes)
        return text.write(study, findings.analyse(study)).replace("\u00a0", " ")

    return tell


# Statistics


def test_intervals_are_those_of_the_textbook():
    interval = statistics.prediction_interval([1, 2, 3, 4, 5])
    half = stats.t.ppf(0.975, 4) * math.sqrt(2.5) * math.sqrt(1 + 1 / 5)
    assert interval[:4] == pytest.approx((3, 3 - half, 3 + half, 5))
    assert statistics.further_run_probability([1, 2, 3, 4, 5], 3 + half) == pytest.approx(0.05)
    assert statistics.further_run_probability([1, 2, 3, 4, 5], 3) == 1
    assert statistics.prediction_interval([1]) is statistics.prediction_interval([]) is None
    # Welch's, wider for several comparisons.
    first, second = [0.95, 0.97, 0.96], [0.90, 0.93, 0.92, 0.94]
    expected = stats.ttest_ind(first, second, equal_var=False)
    for comparisons in 1, 4:
        interval = expected.confidence_interval(1 - 0.05 / comparisons)
        found = statistics.difference(first, second, comparisons)
        assert found[1:3] == pytest.approx((interval.low, interval.high))
    assert statistics.difference([1], first).verdict == "unclear"
    assert statistics.difference([1, 1], [2, 2]).verdict == "unclear", (
        "two equal runs prove nothing"
    )
    # A lead in 9 of 10 runs is seldom luck, in 8 it is.
    assert statistics.majority_is_clear(9, 10)
    assert not statistics.majority_is_clear(8, 10)
    assert not statistics.majority_is_clear(9, 10, comparisons=10)


def test_bests_of_further_runs_are_where_further_bests_lie():
    """Of one further run, it is the prediction interval; of many, 5 % of sweeps look unlikely."""
    [first] = groups = [spread(0.98, 0.001)]
    found = statistics.best_of_further_runs(groups, 1)
    low, high = (statistics.quantile(found, share) for share in (0.025, 0.975))
    expected = statistics.prediction_interval(first)
    assert (low, high) == pytest.approx(expected[1:3], abs=3e-5)
    assert statistics.share_at_least(found, low) == pytest.approx(0.975, abs=1e-3)
    assert statistics.share_at_most(found, low) == pytest.approx(0.025, abs=1e-3)
    assert statistics.best_of_further_runs([[1, 2, 3]], 2) is None
    random, outside = np.random.default_rng(1), 0
    for _ in range(100):
        found = statistics.best_of_further_runs(list(random.standard_normal((5, 10))), 3)
        best = random.standard_normal(15).max()
        outside += (
            min(statistics.share_at_least(found, best), statistics.share_at_most(found, best))
            < 0.025
        )
    assert 0 < outside < 12  # 5 expected; more than 11 have a chance of 0.004


# Weight decay


DECAY = {
    "helps": "Weight decay helps: factor 0.00025075 gains 0.20 percentage points",
    "costs": "Weight decay costs 0.20 percentage points even with its best factor",
    "none": "Weight decay has no effect worth naming",
    "not shown": "Weight decay: a gain is not shown",
    "too few": "at least two factors must be trained at least twice",
}


@pytest.mark.parametrize(
    ("gain", "width", "runs", "verdict"),
    [
        (0.002, 0.0005, 10, "helps"),
        (-0.002, 0.0005, 10, "costs"),
        (0.0001, 0.0005, 10, "none"),
        (0.002, 0.005, 3, "not shown"),
        (0.002, 0.0, 1, "too few"),
    ],
)
def test_verdict_on_weight_decay_follows_the_interval(tell, gain, width, runs, verdict):
    sweep = make_sweep(dict.fromkeys(FACTORS, 0.98 + gain) | {1e-6: 0.98}, width, runs)
    effect = findings.judge_decay(sweep)
    assert (effect.verdict, effect.weakest, effect.choices) == (verdict, 1e-6, 4)
    report = tell(sweeps=sweep)
    assert [name for name, words in DECAY.items() if words in report] == [verdict]


def test_sweep_uses_all_replicates_and_the_sample_deviation():
    accuracies = [0.90, 0.92, 0.97, 0.95, 0.95, 0.95]
    cells = pd.DataFrame({"factor": [0.1] * 3 + [0.01] * 3, "validation_accuracy": accuracies})
    summary = findings.summarise_sweep(cells)
    assert list(summary["mean"]) == pytest.approx([0.95, 0.93])
    assert list(summary["std"]) == pytest.approx([0, np.sqrt(0.0026 / 2)])
    assert list(summary.best) == [0.95, 0.97]
    # The best factor is chosen by validation, and quoted on test images.
    cells = make_study().cells
    cells.loc[cells.factor == 0.001, "validation_accuracy"] = 0.995
    cells.loc[cells.factor == 0.001, "test_accuracy"] = [0.97, 0.98, 0.99]
    decay = findings.find_decay(make_study(cells=cells))
    assert (decay.factor, decay.luckiest, decay.mean) == (0.001, 0.99, pytest.approx(0.98))
    # Runs with that factor that had no part in its choice: replicates 4 to 10 of the other sweep.
    unseen = spread(0.982, 0.0005)[3:]
    assert decay.expected == pytest.approx(np.mean(unseen))
    assert decay.overstated == round(10_000 * (0.99 - np.mean(unseen)))
    decay = findings.find_decay(make_study(cells=cells, sweeps=make_study().sweeps[:0]))
    assert decay.expected == pytest.approx(0.98)


def test_best_of_fifteen_is_compared_with_bests_of_fifteen(tell):
    report = tell(sweeps=make_sweep(dict.fromkeys(FACTORS, 0.982), width=0.0002))
    assert "The published 0.9835 is unlikely to be such a best (p < 0.01)" in report
    assert "Hinton's result or more has an estimated chance of 0 %" in report
    report = tell(sweeps=make_sweep(dict.fromkeys(FACTORS, 0.982), width=0.0018))
    assert "The published 0.9835 could well be such a best" in report
    assert "high by luck" not in tell(sweeps=make_sweep(dict.fromkeys(FACTORS, 0.982), runs=3))
    for accuracy, word in (0.9850, "reached"), (0.9840, "not reached"):
        cells = make_study().cells.assign(validation_accuracy=accuracy, test_accuracy=accuracy)
        assert f"**Hinton's 0.9847 is {word}**" in tell(cells=cells)


# Published numbers


def test_published_numbers_are_judged_by_other_seeds(tell):
    trainings = make_study().trainings
    trainings.loc[trainings.network == "cnn", "test_accuracy"] = spread(0.992, 0.001)
    trainings.loc[trainings.network == "mlp", "test_accuracy"] = spread(0.960, 0.001)
    report = tell(trainings=trainings)
    assert "The published 99.20 % could well be such a run (p = 1.00)" in report
    assert "The published 97.20 % is unlikely to be such a run (p < 0.01)" in report
    fits = published.find_published(make_study(trainings=trainings)).fits
    assert fits["mlp_test_accuracy"].runs == 10
    assert "sweep_hinton" not in fits, "Hinton did not run this recipe"


def test_levels_of_help_have_their_range_over_the_seeds():
    early, late = make_rates(HELPS, seeds=2), make_rates(HELPS, seeds=3)
    late.seed += 2
    late.loc[(late.noise_level == 0.2) & (late.kind == "noisy"), "rate"] = 0.99
    rates = pd.concat([early, late])
    seeds = rates.pivot(index=["seed", "noise_level"], columns="kind", values="rate")
    assert denoising.leads_of_seeds(seeds) == [[0.2, 0.4, 0.6]] * 2 + [[0.4, 0.6]] * 3
    level = published.describe_level(seeds, "helps_from")
    assert level == {"runs": 5, "typical": 0.4, "from": 0.2, "to": 0.4}
    assert published.describe_level(seeds[:0], "helps_to") == {}
    assert "denoising_helps_from" not in published.find_published(make_study()).fits


# Noise


def test_report_says_where_denoising_helps(tell):
    report = tell()
    assert "Denoising helps from noise level 0.2 to 0.6" in report
    assert "With 10 seeds, the first level at which it leads is 0.2 in 10 of them" in report
    assert "(sign test, 5 % for all levels together) from level 0.2 to 0.6" in report
    assert re.search(r"\| 0.2 +\| 10 of 10 +\| 10 of 10 +\| 10 of 10 ", report)
    lucky = HELPS | {"denoised": [0.95, 0.95, 0.92, 0.70, 0.20]}
    assert "Denoising helps from noise level 0.2 to 0.6" in tell(own=lucky), "level 1 is luck"
    report = tell(own=HARMS, rates=make_rates(HARMS))
    assert "Denoising helps at no noise level" in report
    assert "at no level are denoised images recognised better" in report
    # Seeds count more than one run; two seeds cannot tell.
    assert "Denoising helps from noise level 0.2 to 0.6" in tell(own=HARMS)
    assert "Denoising helps at no noise level" in tell(own=HARMS, rates=make_rates(HELPS, seeds=2))


FILTERS = {
    "at every level; the autoencoder beats it at no level": [0.99, 0.96, 0.95, 0.8],
    "at no level; the autoencoder beats it at every level": [0.90, 0.90, 0.90, 0.6],
    "up to level 0.2; the autoencoder beats it from level 0.4 to 0.6": [0.98, 0.97, 0.80, 0.5],
    "at level 0.4; the autoencoder beats it at levels 0, 0.2, 0.6": [0.90, 0.90, 0.95, 0.5],
}


@pytest.mark.parametrize("words", FILTERS)
def test_filter_is_compared_with_the_autoencoder(tell, words):
    own = HELPS | {"filtered": [*FILTERS[words], 0.1]}
    report = tell(own=own, rates=make_rates(own))
    assert f"it beats the autoencoder {words}." in report
    assert "In 10 seeds, more often than luck explains" in report
    report = tell(own=own, rates=make_rates(own, seeds=0))
    assert f"it beats the autoencoder {words}." in report
    assert "In this run, by more than two standard deviations" in report


def test_report_says_what_denoising_costs_on_clean_images(tell):
    assert "the autoencoder costs 4.00 percentage points (95 %: 4.00 to 4.00, from 10" in tell()
    own = HELPS | {"filtered": [0.99, 0.95, 0.8, 0.5, 0.1]}
    report = tell(own=own, rates=make_rates(HELPS, seeds=0))
    assert "the autoencoder costs 4.00 percentage points (95 %: 3.53 to 4.47, as far" in report
    assert "the filter costs nothing that shows" in report


def test_band_and_levels_of_one_half_are_those_of_further_seeds():
    noise = denoising.find_noise(make_study())
    expected = statistics.prediction_interval([0.9 + 0.001 * seed for seed in np.arange(10) - 4.5])
    assert tuple(noise.band.loc[0.2, ["noisy_low", "noisy_high"]]) == pytest.approx(expected[1:3])
    own, further = noise.half_levels["noisy"]
    assert own == pytest.approx(0.45, abs=0.001)
    assert further.low < 0.45 < further.high


# Training on noise


BETTER = HELPS | {"noisy": [0.99, 0.98, 0.97, 0.9, 0.1], "denoised": [0.9, 0.9, 0.8, 0.6, 0.1]}
WORSE = HELPS | {"noisy": [0.9, 0.8, 0.7, 0.5, 0.1], "denoised": [0.95, 0.93, 0.9, 0.7, 0.1]}


@pytest.mark.parametrize(
    ("trained", "words"),
    [
        (BETTER, "A network that trains on noise needs no denoising"),
        (WORSE, "Denoising beats training on noise at 3 of 3 noise levels"),
        ({"noisy": HELPS["denoised"], "denoised": HELPS["denoised"]}, "no difference is shown"),
    ],
)
def test_training_on_noise_is_compared_with_denoising(tell, trained, words):
    rates = pd.concat([make_rates(HELPS), make_rates(trained, "robust", seeds=3)])
    report = tell(rates=rates)
    assert words in report
    joint = "after the autoencoder, it recognises fewer images at 3 of 3 levels, and more at none"
    assert (joint in report) == (trained is BETTER)


def test_every_classifier_is_compared_with_the_first(tell):
    counts = pd.concat([make_counts(HELPS), make_counts(HARMS, "mlp"), make_counts(BETTER, "wide")])
    classifiers = {"cnn": "CNN", "mlp": "Perceptron", "wide": "Wide CNN"}
    report = tell(counts=counts, classifiers=classifiers)
    assert "Denoising gains the perceptron nothing at any level" in report
    assert "%; the wide CNN 9" in report
    counts = pd.concat([make_counts(HELPS), make_counts(HELPS, "mlp")])
    other = make_rates(HELPS | {"noisy": [0.1] * 5}, "published", "mlp")
    report = tell(counts=counts, rates=pd.concat([make_rates(HELPS), other]))
    assert (
        "It gains the perceptron 35.00 percentage points more than the CNN, each at its" in report
    )


# Another recipe


def change(study: Study, section: str, name: str, value) -> dict:
    parameters = study.parameters | {section: study.parameters[section] | {name: value}}
    return {"parameters": parameters}


def test_another_seed_is_no_other_recipe():
    study = make_study()
    study.parameters["train_cnn"]["seed"] = 7
    study.parameters["sweep_l2"]["grid"]["replicates"] = [1]
    assert not any(study.deviations.values())


SILENT = {
    "train_mlp": "The published 97.20 %",
    "train_cnn": "The published 99.20 %",
    "train_ae": "The published 0.1202",
}


@pytest.mark.parametrize("section", SILENT)
def test_changed_training_silences_what_needs_its_recipe(tell, section):
    report = tell()
    assert all(words in report for words in SILENT.values())
    report = tell(**change(make_study(), section, "epochs", 99))
    assert f"**This run differs from the published recipe in `{section}.epochs`.**" in report
    assert [words for words in SILENT.values() if words not in report] == [SILENT[section]]
    same_noise = section == "train_mlp"
    assert ("The same network was trained on noisy images" in report) == same_noise
    assert "Published: 99.20 %" in report, "the accuracy still compares"


def test_other_noise_levels_silence_the_published_ones(tell):
    assert "Published: 0.2–0.8" in tell()
    report = tell(**change(make_study(), "eval_noise", "noise_levels", [0.0, 0.5]))
    assert "differs from the published recipe in `eval_noise.noise_levels`.**" in report
    assert "Published: 0.2–0.8" not in report


def test_held_out_images_are_another_protocol(tell):
    report = tell(**change(make_study(), "preprocess", "validation", 5000))
    assert "makes every choice on 5,000 held-out training images" in report
    assert "0.1202" not in report, "that is of the test images"


def replace_network(name: str, **changes) -> dict:
    networks = make_study().networks
    return {"networks": networks | {name: dataclasses.replace(networks[name], **changes)}}


def test_other_loss_is_explained_and_no_published_loss_stands_beside_it(tell):
    report = tell(**replace_network("autoencoder", loss="MeanSquaredError"))
    assert "the loss of the autoencoder" in report
    assert "mean squared error of the pixels" in report
    assert "binary cross-entropy" not in report
    assert "0.1202" not in report
    report = tell(**replace_network("mlp", loss="Hinge"))
    assert "The loss is Keras's Hinge" in report
    assert "Σ y · log ŷ" not in report
    assert "0.0899" not in report


def test_sentences_about_layers_follow_the_layers(tell):
    report = tell()
    few = "with fewer weights than a large perceptron"
    for words in ("Max pooling", "Dropout", "softmax", "relu", "922 neurons", "a code of 96", few):
        assert words in report
    layers = make_study().networks["cnn"].layers
    bare = layers[~layers.kind.isin(["MaxPooling2D", "Dropout"])]
    report = tell(**replace_network("cnn", layers=bare))
    assert "the layers of the convolutional network" in report
    assert "Max pooling" not in report
    assert "Dropout**" not in report
    report = tell(**replace_network("cnn", parameters=600_000))
    assert few not in report
    assert "though not from fewer parameters" in report
    layers = make_study().networks["mlp"].layers
    report = tell(**replace_network("mlp", layers=layers.assign(activation="tanh", kind="Conv2D")))
    assert "in 3 layers with weights" in report
    assert "use tanh" in report
    assert "uses softmax" not in report
    layers = make_study().networks["autoencoder"].layers
    report = tell(**replace_network("autoencoder", layers=layers.assign(size=1000)))
    assert "An autoencoder redraws each digit\n" in report
    assert "a code of" not in report
    halves = layers.assign(part=["encoder", "encoder", "decoder", "decoder"])
    report = tell(**replace_network("autoencoder", layers=halves))
    assert "The encoder squeezes a noisy image (salt and pepper, level 0.4) into 96" in report


def test_other_images_compare_with_nothing_published(tell):
    report = {"dataset": "Fashion-MNIST", "item": "garment", "classes": ["a", "b", "c", "d", "e"]}
    parameters = make_study().parameters | {"report": report}
    written = tell(classes=5, parameters=parameters, image=(14, 14, 1))
    assert "the images (Fashion-MNIST, 14 × 14, 5 classes)" in written
    assert "recognise garments, clean" in written
    assert "Published" not in written.replace("No published number", "")
    assert "Hinton" not in written
    assert "digit" not in written.replace("Seasoned Digits", "").replace("last digits", "")
    assert "chance would be" not in written


def test_parameters_are_stated_as_params_yaml_writes_them():
    nested = {"a": {"b": True, "c": None, "e": "x"}, "d": [1, 0.5]}
    found = text.list_parameters(nested).to_numpy().tolist()
    assert sorted(found) == [["a.b", "true"], ["a.c", "null"], ["a.e", "x"], ["d", "[1, 0.5]"]]
