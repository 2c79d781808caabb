"""The report's numbers, verdicts and sentences follow the measurements."""

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import report
from page import findings

LEVELS = [0.0, 0.5, 1.0]  # of the small study


@pytest.mark.parametrize(
    ("levels", "rates", "expected"),
    [([0, 0.5, 1], [0.9, 0.6, 0.4], 0.75), ([0, 1], [0.9, 0.8], None), ([0.2, 1], [0.4, 0.1], 0.2)],
)
def test_level_where_a_rate_falls_below_one_half_is_interpolated(levels, rates, expected):
    assert findings.crossing(pd.Series(rates, levels)) == pytest.approx(expected)


def count(noisy, denoised, classifier="cnn"):
    """Make counts as eval_noise leaves them, with these rates in each of two draws."""
    columns = ["classifier", "noise_level", "draw", "kind", "digit", "images", "recognised"]
    rows = [
        (classifier, level, draw, kind, digit, 1000, round(1000 * rate))
        for level, *rates in zip(LEVELS, noisy, denoised, strict=True)
        for kind, rate in zip(findings.KINDS, rates, strict=True)
        for draw in range(2)
        for digit in range(10)
    ]
    return pd.DataFrame(rows, columns=columns)


def curve(noisy, denoised, levels=None, std=0.0):
    levels = np.linspace(0, 1, len(noisy)) if levels is None else levels
    means = pd.DataFrame({"noisy": noisy, "denoised": denoised}, levels)
    return means.assign(noisy_std=std, denoised_std=std)


def test_rates_are_means_over_all_digits_and_draws():
    counts = count([0.9, 0.4, 0.1], [0.8, 0.6, 0.2])
    counts.loc[(counts.draw == 1) & (counts.noise_level == 0.5), "recognised"] += 100
    found = findings.noise_curve(counts)
    assert list(found.noisy) == pytest.approx([0.9, 0.45, 0.1])
    assert list(found.denoised_std) == pytest.approx([0, 0.1 / np.sqrt(2), 0])
    assert findings.noise_curve(counts[counts.draw == 0]).noisy_std.isna().all()


def test_curves_say_where_denoising_helps_and_fails():
    found = findings.noise_findings(curve([0.9, 0.7, 0.4, 0.2, 0.1], [0.8, 0.8, 0.6, 0.4, 0.1]))
    assert found == {
        "denoising_costs_on_clean": pytest.approx(0.1),
        "denoising_helps_from": 0.25,
        "denoising_helps_to": 0.75,
        "noisy_rate_below_half_at": pytest.approx(5 / 12),
        "denoised_rate_below_half_at": pytest.approx(0.625),
    }
    assert set(findings.noise_findings(curve([0.9], [0.7], levels=[0.3])).values()) == {None}


def test_gain_within_the_spread_of_draws_does_not_count():
    rates = ([0.9, 0.4, 0.10], [0.8, 0.8, 0.12])
    assert findings.noise_findings(curve(*rates))["denoising_helps_to"] == 1
    assert findings.noise_findings(curve(*rates, std=0.01))["denoising_helps_to"] == 0.5


def test_training_on_noise_is_compared_at_levels_that_both_have():
    own = curve([0.9, 0.5, 0.1], [0.8, 0.7, 0.1])
    found = findings.compare_ways(own, curve([0.95, 0.85, 0.1], [0.8, 0.9, 0.1], std=0.01))
    assert (found["levels"], found["ahead"], found["joint_ahead"]) == (1, 1, 1)
    assert found["cost"] == pytest.approx(-0.05)
    assert (found["most"]["noise_level"], found["spread"]) == (0.5, 0.01)
    assert findings.compare_ways(own, curve([0.9], [0.9], levels=[0.4])) is None


def test_sweep_uses_all_replicates_and_the_sample_deviation():
    accuracies = [0.90, 0.92, 0.97, 0.95, 0.95, 0.95]
    cells = pd.DataFrame({"factor": [0.1] * 3 + [0.01] * 3, "validation_accuracy": accuracies})
    summary = findings.summarise_sweep(cells)
    assert list(summary["mean"]) == pytest.approx([0.95, 0.93])
    assert list(summary["std"]) == pytest.approx([0, np.sqrt(0.0026 / 2)])
    assert list(summary.best) == [0.95, 0.97]
    assert findings.summarise_sweep(cells[:1])["std"].isna().all()


def test_selection_bias_is_what_the_best_run_adds():
    scores = {
        "factor": [0.1, 0.1, 0.01, 0.01],
        "validation_accuracy": [0.90, 0.92, 0.97, 0.85],
        "test_accuracy": [0.90, 0.94, 0.99, 0.80],
    }
    assert findings.selection_bias(pd.DataFrame(scores)) == {
        "factor": "0.1",
        "expected": pytest.approx(0.92),
        "std": pytest.approx(np.sqrt(0.0008)),
        "best_run": pytest.approx(0.99),
        "best_run_gain": pytest.approx(0.07),
    }


def test_published_numbers_are_placed_among_seeds_of_the_same_measure():
    numbers = pd.DataFrame({"name": ["a", "b", "c"], "published": [1.0, 2.0, 3.0]})
    numbers = numbers.assign(description="", file="m.json", key=["x", "y.z", "x"])
    seeds = pd.DataFrame({"metric": ["a", "a", "b"], "value": [0.5, 1.5, 1.0]})
    found = findings.compare_numbers(numbers, {"m.json": {"x": 1.25, "y": {"z": None}}}, seeds)
    assert list(found.place) == ["within", "above", ""]
    assert list(found.seeds[:2]) == [2, 1]
    assert found.difference[0] == 0.25
    assert np.isnan(found.this_run[1])


def test_most_confident_mistakes_come_first():
    predictions = pd.DataFrame({"actual": [4, 4, 4, 9], "predicted": [9, 9, 4, 4]})
    predictions = predictions.assign(image=range(4), probability=[0.5, 0.6, 0.9, 0.7])
    rows = findings.find_mistakes(predictions, np.zeros((4, 28, 28, 1)))
    worst = [text for text, _ in rows[0]["notes"]]
    assert worst == ["9 read as 4", "4 read as 9", "4 read as 9"]


def test_parameters_are_stated_as_params_yaml_writes_them():
    nested = {"a": {"b": True, "c": None, "e": "x"}, "d": [1, 0.5]}
    found = findings.flatten(nested).to_numpy().tolist()
    assert sorted(found) == [["a.b", "true"], ["a.c", "null"], ["a.e", "x"], ["d", "[1, 0.5]"]]


@pytest.fixture
def tell(finished_study, tmp_path, monkeypatch):
    """Return a function that writes the report on made-up measurements, and returns its text."""
    monkeypatch.chdir(finished_study.folder)
    grid = report.GridParameters.parse(finished_study.command("report")[3:])
    run = report.read_run(grid)
    shutil.copytree("plots/report", tmp_path / "plots/report")
    shutil.copy("versions.txt", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report.figures, "draw", lambda _: {})
    monkeypatch.setattr(report, "read_run", lambda _: run)

    def tell(*, good: bool, seeds=3, trained=0.0, levels=LEVELS, validation="test") -> str:
        """Make every conclusion one way (`good`) or the other.

        `seeds` networks were trained on noise and measured at `levels`; the run's own network was
        trained with the level `trained`.
        """
        files = run.metrics
        accuracies = {"accuracy": 0.9, "validation_accuracy": 0.95 if good else 0.85}
        files["metrics/train_mlp.json"] |= accuracies
        files["metrics/train_cnn.json"] |= accuracies | {"test_accuracy": 0.995 if good else 0.9}
        scores = 0.002 * (run.cells.factor == (0.001 if good else 1e-6))
        scores += (0.985 if good else 0.965) + run.cells.replicate * (0.0001 if good else 0.004)
        run.cells[["validation_accuracy", "test_accuracy"]] = np.transpose([scores, scores])
        noisy = [0.9, 0.4, 0.1] if good else [0.9, 0.8, 0.7]
        denoised = [0.95, 0.8, 0.3] if good else [0.8, 0.7, 0.6]
        run.counts = pd.concat(count(noisy, denoised, name) for name in ("cnn", "mlp"))
        rates = {"noisy": 0.6 if good else 0.9, "denoised": 0.7 if good else 0.5}
        rows = itertools.product(range(seeds), levels, rates)
        run.robust = pd.DataFrame(rows, columns=["seed", "noise_level", "kind"])
        run.robust["rate"] = run.robust.kind.map(rates) + 0.01 * run.robust.seed
        run.parameters["train_cnn"]["noise_level"] = trained
        run.parameters["preprocess"]["validation"] = validation
        report.main(grid)
        return Path("report.md").read_text().replace("\u00a0", " ")

    return tell


SENTENCES = {
    # when the measurements are good: when they are not
    "is reached**: the best run has 0.9872": "is not reached**: the best run has 0.9750",
    "factor 0.001 leads by more than its runs scatter": "luck decides between the best factors",
    "more accuracy from 17 % of the parameters": "convolution does not gain accuracy",
    "fewer than half of the noisy images from level 0.40": "more than half of the noisy images",
    "falls below one half at level 0.80": "stays above one half at every level",
    "Denoising helps from noise level 0.0 to 1.0": "Denoising helps at no noise level",
    "On clean images denoising costs nothing": "On clean images denoising costs 10.00",
    "Denoising gains most at level 0.5: 40.0 %": "At no level are denoised images read better",
    "At level 1.0, 30.0 % of the denoised": "At level 1.0, 60.0 % of the denoised",
    "Denoising beats training on noise": "A network that trains on noise needs no denoising",
    "read more than that network alone at 1 of 1": "Both together gain nothing",
}


@pytest.mark.parametrize("good", [True, False])
def test_sentences_follow_the_measurements(tell, good):
    text = tell(good=good)
    for if_good, if_not in SENTENCES.items():
        assert (if_good in text) == good, if_good
        assert (if_not in text) != good, if_not
    assert ("Training accuracy is lower: it is measured with dropout" in text) == good
    text = tell(good=good, trained=0.4)
    assert "This run's own convolutional network was trained on noise (level 0.4)" in text
    assert ("the network still gains from denoising" in text) == good
    assert ("the network needs no denoising" in text) != good
    assert "which has never seen noise" not in text
    assert '<tbody data-name="CNN, trained on noise">' in Path("report.html").read_text()


def test_report_says_how_many_networks_trained_on_noise_and_how_they_differ(tell):
    text = tell(good=True)
    assert "with noise, with 3 seeds" in text
    assert "seeds differ by at most 0.010 (standard deviation)" in text
    assert re.search(r"\| Network trained on noise +\| noisy +(\| 0.61 +){3}\|", text)
    text = tell(good=True, seeds=1)
    assert "with noise, with 1 seed " in text
    assert "seeds differ" not in text
    text = tell(good=True, levels=[0.25])
    assert "measured at none of this run's noise levels" in text
    assert "at level 0.5, from 40.0 % to 80.0 %" in text


def test_text_states_the_protocol(tell, finished_study):
    text = (finished_study.folder / "report.md").read_text()
    assert "are validated on the 300 test images and trained on 1,000 others" in text
    assert "This was a quick look" in text
    assert "with noise, with 3 seeds" in text, "those of measured/robust.csv"
    text = tell(good=True, validation=100)
    assert "makes every choice on 100 held-out training images and trains on 1,000" in text


def test_links_of_the_markdown_lead_to_files_and_sections(finished_study):
    text = (finished_study.folder / "report.md").read_text()
    links = re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', text)
    links = [link for pair in links for link in pair if link and not link.startswith("http")]
    figures = [link for link in links if link.endswith(".png")]
    assert len(set(figures)) == len(figures) == 11 + len(LEVELS)
    assert all((finished_study.folder / link).is_file() for link in figures)
    sections = {link for link in links if link not in figures}
    assert len(sections) >= 8
    assert all(f'<a id="{link[1:]}"></a>' in text for link in sections)


def test_committed_report_shows_all_fifteen_figures():
    text = (ROOT / "report.md").read_text()
    assert len(set(re.findall(r"figures_04-14_noise_[\d.]+\.png", text))) == 11
    assert all(f"figure_{number}_" in text for number in ("01", "02", "03", "15"))
