"""Noise is what its definition says."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from common.noise import add_noise, salt_and_pepper

GREY = np.full((100, 28, 28, 1), 0.5, np.float32)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_shares_of_black_and_white(level):
    noisy = salt_and_pepper(GREY, level, seed=1)
    # Five standard deviations of a share of 78,400 independent pixels.
    margin = 5 * np.sqrt(0.25 / GREY.size) if level else 0
    for value, share in (0, level / 2), (1, level / 2), (0.5, 1 - level):
        assert np.mean(noisy == value) == pytest.approx(share, abs=margin)


def test_each_image_can_have_its_own_level():
    levels = np.array([0, 0.3, 1], np.float32).reshape(3, 1)
    noisy = salt_and_pepper(np.full((3, 10_000), 0.5, np.float32), levels, seed=1)
    margin = 5 * np.sqrt(0.25 / 10_000)
    assert np.mean(noisy != 0.5, axis=1) == pytest.approx([0, 0.3, 1], abs=margin)


@pytest.mark.parametrize("shape", [(400, 784), (400, 28, 28, 1)])
def test_noise_drawn_once_has_levels_in_the_range(shape):
    """The same noise for rows of pixels and for images."""
    images = np.full(shape, 0.5, np.float32)
    parameters = SimpleNamespace(noise_level=(0.2, 0.6), noise_skew=1, seed=0)
    noisy = add_noise(images, parameters, "train").reshape(400, 784)
    levels = np.mean(noisy != 0.5, axis=1)
    margin = 5 * np.sqrt(0.25 / 784)
    assert 0.2 - margin < levels.min() < levels.max() < 0.6 + margin
    assert levels.mean() == pytest.approx(0.4, abs=5 * 0.12 / np.sqrt(400))
    flat = add_noise(images.reshape(400, 784), parameters, "train")
    np.testing.assert_array_equal(noisy, flat)
    assert (noisy != add_noise(flat, parameters, "validation")).any()


def test_noise_depends_on_the_seed_and_spares_its_input():
    before = GREY.copy()
    first = salt_and_pepper(GREY, 0.4, seed=1)
    np.testing.assert_array_equal(first, salt_and_pepper(GREY, 0.4, seed=1))
    assert (first != salt_and_pepper(GREY, 0.4, seed=2)).any()
    np.testing.assert_array_equal(GREY, before)


@given(
    arrays(np.float32, array_shapes(), elements=st.floats(0, 1, width=32)),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_pixel_is_kept_or_black_or_white(images, level, seed):
    noisy = salt_and_pepper(images, level, seed)
    assert noisy.dtype == np.float32
    assert noisy.shape == images.shape
    assert ((noisy == images) | (noisy == 0) | (noisy == 1)).all()


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_higher_level_changes_the_same_pixels_and_more(one, other, seed):
    lower, higher = (salt_and_pepper(GREY, level, seed) != 0.5 for level in sorted((one, other)))
    assert not (lower & ~higher).any()


@given(st.floats().filter(lambda level: not 0 <= level <= 1))
def test_other_levels_are_refused(level):
    for levels in level, np.array([0.5, level]):
        with pytest.raises(ValueError, match="outside"):
            salt_and_pepper(GREY[:2], levels, seed=1)
