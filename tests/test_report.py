import numpy as np
import pandas as pd
import pytest

from report import flattery, noise_findings, summarise_sweep


def test_sweep_uses_all_replicates_and_the_sample_deviation():
    cells = pd.DataFrame(
        {
            "factor": [0.1, 0.1, 0.1, 0.01, 0.01, 0.01],
            "validation_accuracy": [0.90, 0.92, 0.97, 0.95, 0.95, 0.95],
        }
    )
    summary = summarise_sweep(cells)
    assert list(summary.factor) == [0.01, 0.1]
    assert list(summary["mean"]) == pytest.approx([0.95, 0.93])
    assert list(summary["std"]) == pytest.approx([0, np.sqrt(0.0026 / 2)])
    assert list(summary.best) == [0.95, 0.97]


def test_one_replicate_has_no_deviation():
    cells = pd.DataFrame({"factor": [0.1], "validation_accuracy": [0.9]})
    assert summarise_sweep(cells)["std"].isna().all()


def test_flattery_is_what_choosing_on_the_test_images_adds():
    cells = pd.DataFrame(
        {
            "factor": [0.1, 0.1, 0.01, 0.01],
            "replicate": [1, 2, 1, 2],
            "validation_accuracy": [0.90, 0.92, 0.97, 0.85],
            "test_accuracy": [0.90, 0.94, 0.99, 0.80],
        }
    )
    histories = pd.DataFrame(
        {
            "factor": [0.1, 0.1, 0.01, 0.01],
            "replicate": 1,
            "epoch": [1, 2, 1, 2],
            "validation_accuracy": [0.93, 0.91, 0.7, 0.8],
        }
    )
    assert flattery(cells, histories) == {
        "factor": "0.1",
        "expected": pytest.approx(0.92),
        "std": pytest.approx(np.sqrt(0.0008)),
        "luckiest": pytest.approx(0.99),
        "by_training": pytest.approx(0.07),
        "by_epoch": pytest.approx(0.01),
    }


def rates(noisy, denoised, std=0.0):
    levels = np.linspace(0, 1, len(noisy))
    means = {"noise_level": levels, "noisy": noisy, "denoised": denoised}
    return pd.DataFrame(means).assign(noisy_std=std, denoised_std=std)


def test_noise_findings():
    found = noise_findings(rates([0.9, 0.7, 0.4, 0.2, 0.1], [0.8, 0.8, 0.6, 0.4, 0.1]))
    assert found["denoising_costs_on_clean"] == pytest.approx(0.1)
    assert found["denoising_helps_from"] == 0.25
    assert found["denoising_helps_to"] == 0.75
    assert found["denoised_rate_below_half_at"] == pytest.approx(0.625)


def test_a_gain_within_the_spread_of_draws_is_none():
    curves = ([0.9, 0.4, 0.10], [0.8, 0.8, 0.12])
    assert noise_findings(rates(*curves))["denoising_helps_to"] == 1
    assert noise_findings(rates(*curves, std=0.01))["denoising_helps_to"] == 0.5


def test_noise_findings_where_denoising_never_helps_or_falls():
    found = noise_findings(rates([0.9, 0.9], [0.8, 0.7]).iloc[1:].reset_index(drop=True))
    assert found == {
        "denoising_costs_on_clean": None,
        "denoising_helps_from": None,
        "denoising_helps_to": None,
        "denoised_rate_below_half_at": None,
    }
