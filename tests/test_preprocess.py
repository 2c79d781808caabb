import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import preprocess
from common import data
from fetch import write_idx
from preprocess import PreprocessParams, hold_out, read_idx

# The same file for all examples: each is written anew.
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@same_folder
@given(arrays(np.uint8, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)), st.data())
def test_written_array_is_read_again_and_no_part_of_it(tmp_path, values, drawn):
    path = tmp_path / "file"
    write_idx(path, values)
    np.testing.assert_array_equal(read_idx(path), values)
    content = path.read_bytes()
    path.write_bytes(content[: drawn.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(SystemExit, match="file: "):
        read_idx(path)


@pytest.mark.parametrize("count", [1, 333, 1449])
def test_hold_out_takes_every_class_in_proportion(count):
    labels = np.repeat(np.arange(10), range(100, 200, 10))  # 100 zeros to 190 nines: 1450
    mask, again, other = (hold_out(labels, count, seed) for seed in (1, 1, 2))
    held = np.bincount(labels[mask], minlength=10)
    assert held.sum() == count
    assert np.abs(held - np.bincount(labels) * count / len(labels)).max() < 1
    np.testing.assert_array_equal(mask, again)
    assert (mask != other).any()
    with pytest.raises(SystemExit, match=r"^error: preprocess.validation = 1450: there are 1450 t"):
        hold_out(labels, 1450, seed=0)


@pytest.fixture
def shades(tmp_path, monkeypatch):
    """Process 40 training and 20 test images, each of one shade that tells it apart."""
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)

    def run(side=28, classes=10, **params):
        for kind, count in ("train", 40), ("t10k", 20):
            images = np.arange(count, dtype=np.uint8).repeat(side * side).reshape(-1, side, side)
            write_idx(f"data/raw/{kind}-images-idx3-ubyte", images)
            write_idx(f"data/raw/{kind}-labels-idx1-ubyte", images[:, 0, 0] % classes)
        preprocess.main(PreprocessParams(**params, seed=0))
        found = {}
        for name in "train", "validation", "test":
            images, labels = data.load(name)
            assert images.shape[1:] == (side, side, 1)
            assert labels.shape[1] == classes
            shades = images[:, 5, 5, 0] * 255
            np.testing.assert_array_equal(labels.argmax(axis=1), shades % classes)
            found[name] = shades.tolist()
        return found

    return run


def test_each_protocol_takes_its_images(shades):
    train, test = list(range(40)), list(range(20))
    few = shades(side=14, classes=16, validation="test", limit=[12, 10])
    assert few["train"] == list(range(12)), "though few images show few classes"
    published = shades(validation="test", limit=None)
    assert published == {"train": train, "validation": test, "test": test}
    limited = shades(validation="test", limit=[15, 10])
    assert limited == {"train": train[:15], "validation": test[:10], "test": test[:10]}
    honest = shades(validation=10, limit=None)
    assert sorted(honest["train"] + honest["validation"]) == train
    assert sorted(shade % 10 for shade in honest["validation"]) == list(range(10))
    assert honest["test"] == test
    sizes = json.loads(Path("data/processed/sizes.json").read_text())
    assert sizes == {"training_images": 30, "validation_images": 10, "test_images": 20}
