"""Noise is what its definition says."""

from types import SimpleNamespace

import numpy as np
import pytest

from common.noise import add_noise, add_noise_to_batch, salt_and_pepper

GREY = np.full((2000, 28, 28, 1), 0.5, np.float32)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_shares_of_black_and_white(level):
    noisy = salt_and_pepper(GREY, level, seed=1)
    # Five standard deviations of a share of so many independent pixels.
    margin = 5 * np.sqrt(0.25 / GREY.size) if level else 0
    for value, share in (0, level / 2), (1, level / 2), (0.5, 1 - level):
        assert np.mean(noisy == value) == pytest.approx(share, abs=margin)
    assert (GREY == 0.5).all(), "the input stays"
    np.testing.assert_array_equal(noisy, salt_and_pepper(GREY, level, seed=1))


@pytest.mark.parametrize(
    ("generator", "low", "high", "skew"),
    [("once", 0.4, 0.4, 1), ("threefry", 0.0, 0.8, 1), ("philox", 0.1, 1.0, 3)],
)
def test_noise_for_training_has_levels_in_the_range(tensorflow, generator, low, high, skew):
    """Drawn once, or in every epoch with the generators that the autoencoder and the CNN use."""
    params = SimpleNamespace(noise_range=(low, high), noise_skew=skew, seed=1)

    @tensorflow.function(jit_compile=generator == "threefry")  # XLA compiles the autoencoder
    def add_noise_in_epoch(images, seed):
        return add_noise_to_batch(generator, params, images, seed)

    def season(step):
        if generator == "once":
            return add_noise(GREY, params, f"split {step}")
        return add_noise_in_epoch(GREY, tensorflow.constant([1, step])).numpy()

    noisy = season(2)
    assert set(np.unique(noisy)) == {0, 0.5, 1}
    levels = np.mean(noisy != 0.5, axis=(1, 2, 3))
    # A level is measured on 784 pixels; everywhere five standard deviations.
    pixels = 5 * np.sqrt(0.25 / 784)
    assert low - pixels < levels.min() < low + pixels
    assert high - pixels < levels.max() < high + pixels
    # The mean of u^skew, with u even in [0, 1], is 1 / (skew + 1).
    margin = 5 * 0.3 / np.sqrt(2000)
    assert levels.mean() == pytest.approx(low + (high - low) / (skew + 1), abs=margin)
    assert np.mean(noisy == 0) == pytest.approx(np.mean(noisy == 1), abs=5 / np.sqrt(noisy.size))
    np.testing.assert_array_equal(noisy, season(2))
    assert (noisy != season(3)).mean() > 0.1
