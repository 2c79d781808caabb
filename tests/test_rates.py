"""Rates at each noise level are summarised right."""

import pandas as pd
import pytest

from common.rates import KINDS, crossing, leading_levels, noise_curve, noise_findings


def test_curve_has_mean_and_deviation_of_draws_or_classes():
    """Of 100 images each, the second class is read better by 10; the third has no images."""
    draws = [(0.5, 0, 40), (0.5, 1, 60), (0.0, 0, 80)]
    rows = [
        (level, draw, kind, label, images, min(images, recognised + 10 * label))
        for level, draw, recognised in draws
        for kind in KINDS
        for label, images in enumerate([100, 100, 0])
    ]
    columns = ["noise_level", "draw", "kind", "label", "images", "recognised"]
    counts = pd.DataFrame(rows, columns=columns)
    curve = noise_curve(counts)
    assert curve.index.tolist() == [0.0, 0.5]
    assert curve.noisy.tolist() == pytest.approx([0.85, 0.55])
    assert curve.noisy_std.tolist() == pytest.approx([0.0, 0.2 / 2**0.5])
    assert noise_curve(counts, over="label").noisy_std[0.5] == pytest.approx(0.1 / 2**0.5)


def test_denoising_helps_where_it_leads_by_two_deviations_below_level_1():
    curve = pd.DataFrame(
        {
            "noisy": [0.9, 0.5, 0.5, 0.4, 0.3, 0.1],
            "noisy_std": [0.0, 0.03, 0.03, 0.03, 0.03, 0.0],
            "denoised": [0.9, 0.59, 0.61, 0.6, 0.1, 0.2],
            "denoised_std": [0.0, 0.04, 0.04, 0.04, 0.04, 0.0],
        },
        index=pd.Index([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], name="noise_level"),
    )
    assert leading_levels(curve, "noisy", "denoised") == [0.8]
    found = noise_findings(curve)
    assert found == {"helps_from": 0.4, "helps_to": 0.6, "half_at": pytest.approx(0.64)}
    assert crossing(pd.Series([0.4, 0.9], [0.0, 0.5])) is None, "no level at which they fall"
    assert set(noise_findings(curve.head(1)).values()) == {None}
