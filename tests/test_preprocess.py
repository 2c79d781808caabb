import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

import preprocess
from common import dataset, environment
from common.idx import write_idx
from preprocess import PreprocessParameters, hold_out


@pytest.mark.parametrize("count", [1, 10, 290, 333, 1449])
def test_hold_out_takes_every_class_in_proportion(count):
    labels = np.repeat(np.arange(10), range(100, 200, 10))  # 100 zeros to 190 nines: 1450
    mask, again, other = (hold_out(labels, count, seed) for seed in (1, 1, 2))
    held = np.bincount(labels[mask], minlength=10)
    assert held.sum() == count
    assert np.abs(held - np.bincount(labels) * count / len(labels)).max() < 1
    np.testing.assert_array_equal(mask, again)
    assert (mask != other).any()


@pytest.fixture
def shades(tmp_path, monkeypatch):
    """Process 40 training and 20 test images, each of one shade that tells it apart."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "VERSIONS", ROOT / "versions.txt")
    Path("data/raw").mkdir(parents=True)
    for kind, count in ("train", 40), ("t10k", 20):
        images = np.arange(count, dtype=np.uint8).repeat(784).reshape(count, 28, 28)
        write_idx(f"data/raw/{kind}-images-idx3-ubyte", images)
        write_idx(f"data/raw/{kind}-labels-idx1-ubyte", images[:, 0, 0] % 10)

    def run(**parameters):
        preprocess.main(PreprocessParameters(**parameters, seed=0))
        found = {}
        for name in "train", "validation", "test":
            images, labels = dataset.load(name)
            shades = images[:, 5, 5, 0] * 255
            np.testing.assert_array_equal(labels.argmax(axis=1), shades % 10)
            found[name] = shades.tolist()
        return found

    return run


def test_each_protocol_takes_its_images(shades):
    train, test = list(range(40)), list(range(20))
    published = shades(validation="test", limit=None)
    assert published == {"train": train, "validation": test, "test": test}
    limited = shades(validation="test", limit=[15, 10])
    assert limited == {"train": train[:15], "validation": test[:10], "test": test[:10]}
    honest = shades(validation=10, limit=None)
    assert sorted(honest["train"] + honest["validation"]) == train
    assert sorted(shade % 10 for shade in honest["validation"]) == list(range(10))
    assert honest["test"] == test
    counts = json.loads(Path("metrics/preprocess.json").read_text())
    assert counts == {"training_images": 30, "validation_images": 10, "test_images": 20}


def test_damaged_original_is_named(shades):
    Path("data/raw/t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1")
    with pytest.raises(SystemExit, match=r"t10k-labels.*not an IDX file.*; restore it: dvc"):
        shades(validation="test", limit=None)
