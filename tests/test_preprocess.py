"""Original files become arrays, or are refused in one line with file and both numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

import preprocess
from common import data
from fetch import make_idx
from preprocess import PreprocessParams, hold_out, read_idx


@pytest.mark.parametrize("content", [make_idx(np.eye(3, dtype=np.uint8))[:-1], b"<html>"])
def test_file_that_is_cut_short_or_no_idx_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(SystemExit, match="file: not an IDX file"):
        read_idx(path)


def test_hold_out_takes_every_class_in_proportion():
    labels = np.repeat(np.arange(10), range(100, 200, 10))  # 100 zeros to 190 nines: 1450
    mask, again, other = (hold_out(labels, 333, seed) for seed in (1, 1, 2))
    held = np.bincount(labels[mask], minlength=10)
    assert held.sum() == 333
    assert np.abs(held - np.bincount(labels) * 333 / len(labels)).max() < 1
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
            content = make_idx(labels.astype(np.uint8))
            Path(f"data/raw/{kind}-labels-idx1-ubyte").write_bytes(content)
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
    assert run() == {"train": train, "validation": test, "test": test}
    limited = run(side=14, classes=16, params={"limit": [12, 10]})  # images of twelve classes
    assert limited == {"train": train[:12], "validation": test[:10], "test": test[:10]}
    honest = run(params={"validation": 10})
    assert sorted(honest["train"] + honest["validation"]) == train
    assert sorted(shade % 10 for shade in honest["validation"]) == list(range(10))
    assert honest["test"] == test
    sizes = json.loads(Path("data/processed/sizes.json").read_text())
    assert sizes == {"training_images": 30, "validation_images": 10, "test_images": 20}


def test_labels_need_not_begin_at_0(run):
    """EMNIST's letters run from 1 to 26; 255 is the last that a byte holds."""
    assert len(run(classes=2, first=254)["train"]) == 40


IMAGES, LABELS = make_shades(40, 28), np.zeros(40, np.uint8)
SIDE_14 = make_shades(20, 14)
EMPTY = {"train_images": IMAGES[:0], "train_labels": LABELS[:0]}
SWAPPED = {"train_images": LABELS, "train_labels": IMAGES}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"train_images": IMAGES[:39]}, r".*-images-\S+ has 39 images, .*-labels-\S+ 40 labels"),
        (EMPTY, r".*-images-\S+ has 0 images, .*-labels-\S+ 0 labels"),
        ({"train_images": IMAGES[:, :, :14]}, r".*-images-\S+: its shape is \(40, 28, 14\); "),
        (SWAPPED, r".*-labels-\S+: its shape is \(40, 28, 28\); labels are a row of numbers"),
        ({"t10k_images": SIDE_14}, r"training images of \(28, 28\) .* images of \(14, 14\)"),
        ({"t10k_labels": np.arange(20)}, "t10k-labels-.*: no training image has label 10"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(run, files, said):
    with pytest.raises(SystemExit, match=f"^error: data/raw.*{said}.*; correct the files that"):
        run(**files)
    assert not Path("data/processed").exists()
