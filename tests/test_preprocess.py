import numpy as np
import pytest

import preprocess
from common.idx import write_idx
from preprocess import PreprocessParameters, hold_out, normalise, one_hot, split


def test_normalised_images_are_float32_in_0_1():
    images = np.arange(256, dtype=np.uint8).repeat(49).reshape(-1, 28, 28)
    normalised = normalise(images)
    assert normalised.shape == (16, 28, 28, 1)
    assert normalised.dtype == np.float32
    assert normalised.min() == 0
    assert normalised.max() == 1
    np.testing.assert_array_equal(normalised[..., 0] * 255, images)


def test_one_hot():
    encoded = one_hot(np.array([3, 0, 9], np.uint8))
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded.argmax(axis=1), [3, 0, 9])
    np.testing.assert_array_equal(encoded.sum(axis=1), 1)


def test_hold_out_takes_every_class_in_proportion():
    labels = np.repeat(np.arange(10), range(100, 200, 10))  # 100 zeros to 190 nines: 1450
    mask = hold_out(labels, 290, seed=1)  # a fifth
    np.testing.assert_array_equal(np.bincount(labels[mask]), range(20, 40, 2))


@pytest.mark.parametrize("count", [1, 10, 333, 1449])
def test_hold_out_takes_exactly_as_many_as_asked(count):
    labels = np.repeat(np.arange(10), range(100, 200, 10))
    mask = hold_out(labels, count, seed=1)
    assert mask.sum() == count
    exact = np.bincount(labels) * count / len(labels)
    assert np.abs(np.bincount(labels[mask], minlength=10) - exact).max() < 1


def test_hold_out_depends_on_the_seed_alone():
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    np.testing.assert_array_equal(hold_out(labels, 100, seed=1), hold_out(labels, 100, seed=1))
    assert (hold_out(labels, 100, seed=1) != hold_out(labels, 100, seed=2)).any()


@pytest.mark.parametrize("count", [0, 20, 21])
def test_hold_out_leaves_something_on_both_sides(count):
    with pytest.raises(ValueError, match=f"cannot hold out {count} of 20"):
        hold_out(np.repeat(np.arange(10), 2), count, seed=1)


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """40 training and 20 test images, each of one shade that tells it apart, and labels."""
    for kind, count in ("train", 40), ("t10k", 20):
        shades = np.arange(count, dtype=np.uint8)
        images = np.broadcast_to(shades[:, None, None], (count, 28, 28))
        write_idx(tmp_path / f"{kind}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{kind}-labels-idx1-ubyte", shades % 10)
    monkeypatch.setattr(preprocess, "RAW", tmp_path)


def shades(splits, name):
    return splits[name][0][:, 0, 0].tolist()


def test_published_protocol_validates_on_the_test_images(raw):
    splits = split(PreprocessParameters(validation="test", limit=None, seed=0))
    assert shades(splits, "train") == list(range(40))
    assert shades(splits, "validation") == shades(splits, "test") == list(range(20))


def test_honest_protocol_holds_out_training_images(raw):
    splits = split(PreprocessParameters(validation=10, limit=None, seed=0))
    assert sorted(shades(splits, "train") + shades(splits, "validation")) == list(range(40))
    assert sorted(splits["validation"][1]) == list(range(10))
    assert shades(splits, "test") == list(range(20))


def test_limit_takes_the_first_images(raw):
    splits = split(PreprocessParameters(validation="test", limit=[15, 10], seed=0))
    assert shades(splits, "train") == list(range(15))
    assert shades(splits, "test") == list(range(10))


@pytest.mark.parametrize(
    ("limit", "reason"),
    [([41, 10], "40 training images, not 41"), ([40, 21], "20 test images, not 21")],
)
def test_limit_beyond_what_there_is(raw, limit, reason):
    with pytest.raises(ValueError, match=reason):
        split(PreprocessParameters(validation="test", limit=limit, seed=0))
