"""Rates at each noise level are summarised right."""

import pandas as pd
import pytest

from common.rates import crossing, leading_levels, noise_curve, noise_findings


def make_counts(**rates) -> pd.DataFrame:
    """Count 100 images with each of two labels; a kind has a list of pairs (level, draws)."""
    rows = []
    for kind, levels in rates.items():
        for level, draws in levels:
            for draw, recognised in enumerate(draws):
                for label in (0, 1):
                    rows.append((level, draw, kind, label, 100, recognised + 10 * label))
    columns = ["noise_level", "draw", "kind", "label", "images", "recognised"]
    return pd.DataFrame(rows, columns=columns)


def test_curve_has_mean_and_deviation_of_draws_or_classes():
    counts = make_counts(noisy=[(0.5, [40, 60]), (0.0, [80])])
    curve = noise_curve(counts)
    assert curve.index.tolist() == [0.0, 0.5]
    assert curve.noisy.tolist() == pytest.approx([0.85, 0.55])
    assert curve.noisy_std.tolist() == pytest.approx([0.0, 0.2 / 2**0.5])
    assert noise_curve(counts, over="label").noisy_std[0.5] == pytest.approx(0.1 / 2**0.5)


@pytest.mark.parametrize(
    ("rates", "level"),
    [
        ([0.9, 0.8, 0.7], None),
        ([0.9, 0.6, 0.4], 0.75),
        ([0.9, 0.5, 0.4], 0.5),
        ([0.4, 0.9, 0.4], 0.0),
    ],
)
def test_level_of_one_half_is_interpolated(rates, level):
    assert crossing(pd.Series(rates, index=[0.0, 0.5, 1.0])) == pytest.approx(level)


def test_lead_within_two_deviations_does_not_count():
    curve = pd.DataFrame(
        {
            "noisy": [0.9, 0.5, 0.5, 0.5],
            "noisy_std": [0.0, 0.03, 0.03, 0.03],
            "denoised": [0.9, 0.59, 0.61, 0.3],
            "denoised_std": [0.0, 0.04, 0.04, 0.04],
        },
        index=pd.Index([0.0, 0.2, 0.4, 0.6], name="noise_level"),
    )
    assert leading_levels(curve, "denoised", "noisy") == [0.4]
    assert leading_levels(curve, "noisy", "denoised") == [0.6]


def test_lead_at_level_1_does_not_count():
    curve = pd.DataFrame(
        {"noisy": [0.5, 0.1], "noisy_std": 0.0, "denoised": [0.6, 0.2], "denoised_std": 0.0},
        index=pd.Index([0.5, 1.0], name="noise_level"),
    )
    assert leading_levels(curve, "denoised", "noisy") == [0.5]


def test_findings_say_where_denoising_helps():
    noisy = [(0.0, [90]), (0.3, [70, 71]), (0.6, [40, 41]), (1.0, [5, 6])]
    denoised = [(0.0, [80]), (0.3, [80, 81]), (0.6, [60, 61]), (1.0, [5, 6])]
    findings = noise_findings(noise_curve(make_counts(noisy=noisy, denoised=denoised)))
    assert findings == {
        "helps_from": 0.3,
        "helps_to": 0.6,
        "half_at": pytest.approx(0.713, abs=1e-3),
    }
    nowhere = make_counts(noisy=[(0.1, [80, 81])], denoised=[(0.1, [70, 71])])
    assert set(noise_findings(noise_curve(nowhere)).values()) == {None}
