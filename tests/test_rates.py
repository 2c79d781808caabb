"""Rates at each noise level are summarised right; what was not measured is no rate."""

import math

import pandas as pd
import pytest

from common.rates import crossing, leading_levels, noise_curve, noise_findings


def make_counts(images=(100, 100), **rates) -> pd.DataFrame:
    """Count images with each label; a kind has pairs of a level and what each draw recognises."""
    rows = [
        (level, draw, kind, label, count, min(count, recognised + 10 * label))
        for kind, levels in rates.items()
        for level, draws in levels
        for draw, recognised in enumerate(draws)
        for label, count in enumerate(images)
    ]
    columns = ["noise_level", "draw", "kind", "label", "images", "recognised"]
    return pd.DataFrame(rows, columns=columns)


def make_all_kinds(levels, images=(100, 100)) -> pd.DataFrame:
    return make_counts(images, noisy=levels, filtered=levels, denoised=levels)


def test_curve_has_mean_and_deviation_of_draws_or_classes():
    counts = make_all_kinds([(0.5, [40, 60]), (0.0, [80])])
    curve = noise_curve(counts)
    assert curve.index.tolist() == [0.0, 0.5]
    assert curve.noisy.tolist() == pytest.approx([0.85, 0.55])
    assert curve.noisy_std.tolist() == pytest.approx([0.0, 0.2 / 2**0.5])
    assert noise_curve(counts, over="label").noisy_std[0.5] == pytest.approx(0.1 / 2**0.5)


def test_class_without_images_has_no_rate():
    """The third of three classes has none: rates and deviations are those of the others."""
    levels = [(0.5, [40, 60])]
    counts, without = make_all_kinds(levels, (100, 100, 0)), make_all_kinds(levels)
    for over in "draw", "label":
        pd.testing.assert_frame_equal(noise_curve(counts, over), noise_curve(without, over))
    nothing = noise_curve(make_all_kinds(levels, (0, 0)))
    assert math.isnan(nothing.noisy[0.5])
    assert set(noise_findings(nothing).values()) == {None}


def test_clear_lead_is_two_deviations_and_not_at_level_1():
    curve = pd.DataFrame(
        {
            "noisy": [0.9, 0.5, 0.5, 0.5, 0.1],
            "noisy_std": [0.0, 0.03, 0.03, 0.03, 0.0],
            "denoised": [0.9, 0.59, 0.61, 0.3, 0.2],
            "denoised_std": [0.0, 0.04, 0.04, 0.04, 0.0],
        },
        index=pd.Index([0.0, 0.2, 0.4, 0.6, 1.0], name="noise_level"),
    )
    assert leading_levels(curve, "denoised", "noisy") == [0.4]
    assert leading_levels(curve, "noisy", "denoised") == [0.6]


def test_findings_say_where_denoising_helps():
    noisy = [(0.0, [90]), (0.3, [70, 71]), (0.6, [40, 41]), (1.0, [5, 6])]
    denoised = [(0.0, [80]), (0.3, [80, 81]), (0.6, [60, 61]), (1.0, [5, 6])]
    counts = make_counts(noisy=noisy, filtered=noisy, denoised=denoised)
    assert noise_findings(noise_curve(counts)) == {
        "helps_from": 0.3,
        "helps_to": 0.6,
        "half_at": pytest.approx(0.713, abs=1e-3),
    }
    assert crossing(pd.Series([0.4, 0.9], [0.0, 0.5])) is None, "no level at which they fall"
    nowhere = make_all_kinds([(0.1, [80, 81])])
    assert set(noise_findings(noise_curve(nowhere)).values()) == {None}
