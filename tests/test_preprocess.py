"""Original files become arrays, or are refused in one line with file and both numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

import preprocess
from common import data
from fetch import make_idx
from preprocess import PreprocessParams, hold_out


def test_hold_out_takes_every_class_in_proportion():
    labels = np.repeat(np.arange(10), range(100, 200, 10))  # 100 zeros to 190 nines: 1450
    mask = hold_out(labels, 333, seed=1)
    held = np.bincount(labels[mask], minlength=10)
    assert held.sum() == 333
    assert np.abs(held - np.bincount(labels) * 333 / len(labels)).max() < 1
    assert (mask != hold_out(labels, 333, seed=2)).any()
    with pytest.raises(SystemExit, match=r"^error: preprocess.validation = 1450: there are 1450 t"):
        hold_out(labels, 1450, seed=0)


def make_shades(count: int, side: int) -> np.ndarray:
    """Return images each of one shade that tells it apart."""
    return np.arange(count, dtype=np.uint8).repeat(side * side).reshape(-1, side, side)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Process 40 training and 20 test images, or others; return the shades of each split."""
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)

    def run(side=28, classes=10, first=0, limit=None, validation="test", **files):
        for kind, count in ("train", 40), ("t10k", 20):
            images = files.get(f"{kind}_images", make_shades(count, side))
            labels = files.get(f"{kind}_labels", np.arange(count) % classes + first)
            Path(f"data/raw/{kind}-images-idx3-ubyte").write_bytes(make_idx(images))
            content = make_idx(labels.astype(np.uint8))
            Path(f"data/raw/{kind}-labels-idx1-ubyte").write_bytes(content)
        preprocess.main(PreprocessParams(limit=limit, validation=validation, seed=0))
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
    limited = run(side=14, classes=16, limit=[12, 10])  # images of twelve classes
    assert limited == {"train": train[:12], "validation": test[:10], "test": test[:10]}
    # EMNIST's letters run from 1 to 26; 255 is the last label that a byte holds.
    assert len(run(classes=2, first=254)["train"]) == 40
    honest = run(validation=10)
    assert sorted(honest["train"] + honest["validation"]) == train
    assert sorted(shade % 10 for shade in honest["validation"]) == list(range(10))
    assert honest["test"] == test
    sizes = json.loads(Path("data/processed/sizes.json").read_text())
    assert sizes == {"training_images": 30, "validation_images": 10, "test_images": 20}


IMAGES = make_shades(40, 28)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"train_images": IMAGES[:39]}, r".*-images-\S+ has 39 images, .*-labels-\S+ 40 labels"),
        ({"train_images": IMAGES[:, :, :14]}, r".*-images-\S+: its shape is \(40, 28, 14\); "),
        ({"train_labels": IMAGES}, r".*-labels-\S+: its shape is \(40, 28, 28\); labels are a row"),
        ({"t10k_images": make_shades(20, 14)}, r"training images of \(28, 28\) .* of \(14, 14\)"),
        ({"t10k_labels": np.arange(20)}, "t10k-labels-.*: no training image has label 10"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(run, files, said):
    with pytest.raises(SystemExit, match=f"^error: data/raw.*{said}.*; correct the files that"):
        run(**files)
    assert not Path("data/processed").exists()
