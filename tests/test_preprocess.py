"""Original files become arrays, or are refused in one line with file and both numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import preprocess
from common import data
from fetch import NAMES, make_idx
from preprocess import PreprocessParams, hold_out, read_idx

# The same file for all examples: each is written anew.
same_folder = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@same_folder
@given(arrays(np.uint8, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)), st.data())
def test_written_array_is_read_again_and_no_part_of_it(tmp_path, values, drawn):
    path = tmp_path / "file"
    content = make_idx(values)
    path.write_bytes(content)
    np.testing.assert_array_equal(read_idx(path), values)
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


def make_shades(count: int, side: int) -> np.ndarray:
    """Return images each of one shade that tells it apart."""
    return np.arange(count, dtype=np.uint8).repeat(side * side).reshape(-1, side, side)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Process 40 training and 20 test images, or others in their place."""
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)

    def run(side=28, classes=10, first=0, params=None, **files):
        for kind, count in ("train", 40), ("t10k", 20):
            images = files.get(f"{kind}_images", make_shades(count, side))
            labels = files.get(f"{kind}_labels", np.arange(count) % classes + first)
            Path(f"data/raw/{kind}-images-idx3-ubyte").write_bytes(make_idx(images))
            Path(f"data/raw/{kind}-labels-idx1-ubyte").write_bytes(
                make_idx(labels.astype(np.uint8))
            )
        values = {"validation": "test", "limit": None, "seed": 0} | (params or {})
        preprocess.main(PreprocessParams(**values))
        found = {}
        for name in "train", "validation", "test":
            images, labels = data.load(name)
            assert images.shape[1:] == (side, side, 1)
            assert labels.shape[1] == classes + first
            shades = images[:, 5, 5, 0] * 255
            np.testing.assert_array_equal(labels.argmax(axis=1), shades % classes + first)
            found[name] = shades.tolist()
        return found

    return run


def test_each_protocol_takes_its_images(run):
    train, test = list(range(40)), list(range(20))
    few = run(side=14, classes=16, params={"limit": [12, 10]})
    assert few["train"] == list(range(12)), "though few images show few classes"
    assert run() == {"train": train, "validation": test, "test": test}
    limited = run(params={"limit": [15, 10]})
    assert limited == {"train": train[:15], "validation": test[:10], "test": test[:10]}
    honest = run(params={"validation": 10})
    assert sorted(honest["train"] + honest["validation"]) == train
    assert sorted(shade % 10 for shade in honest["validation"]) == list(range(10))
    assert honest["test"] == test
    sizes = json.loads(Path("data/processed/sizes.json").read_text())
    assert sizes == {"training_images": 30, "validation_images": 10, "test_images": 20}


@pytest.mark.parametrize(("first", "classes"), [(1, 26), (254, 2)])
def test_labels_need_not_begin_at_0(run, first, classes):
    """EMNIST's letters run from 1 to 26; 255 is the last that a byte holds."""
    assert len(run(classes=classes, first=first)["train"]) == 40


IMAGES, LABELS = make_shades(40, 28), np.zeros(40, np.uint8)
TRAIN_IMAGES, TRAIN_LABELS, _, TEST_LABELS = (f"data/raw/{name}" for name in NAMES)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"train_images": IMAGES[:39]},
            f"{TRAIN_IMAGES} has 39 images, {TRAIN_LABELS} 40 labels",
        ),
        (
            {"train_images": IMAGES[:0], "train_labels": LABELS[:0]},
            f"{TRAIN_IMAGES} has 0 images, {TRAIN_LABELS} 0 labels",
        ),
        ({"train_images": IMAGES[:, :, :14]}, f"{TRAIN_IMAGES}: its shape is (40, 28, 14); "),
        (
            {"train_images": np.zeros((40, 28, 28, 3), np.uint8)},
            f"{TRAIN_IMAGES}: its shape is (40, 28, 28, 3); grey, square images are needed",
        ),
        (
            {"train_images": LABELS, "train_labels": IMAGES},
            f"{TRAIN_LABELS}: its shape is (40, 28, 28); labels are a row of numbers",
        ),
        (
            {"t10k_images": make_shades(20, 14)},
            "data/raw: training images of (28, 28) pixels, test images of (14, 14)",
        ),
        (
            {"t10k_labels": np.arange(20)},
            f"{TEST_LABELS}: no training image has label 10",
        ),
    ],
)
def test_files_that_do_not_belong_together_are_refused(run, files, said):
    with pytest.raises(SystemExit) as refusal:
        run(**files)
    line = str(refusal.value)
    assert line.startswith(f"error: {said}")
    assert line.endswith("; correct the files that fetch.sources names")
    assert not Path("data/processed").exists()
