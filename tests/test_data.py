"""Arrays are what `preprocess` leaves, or are refused; tables always have the same bytes."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common import data

IMAGES = np.ones((5, 28, 28, 1), np.float32)
LABELS = np.eye(10, dtype=np.float32)[:5]


def end_with(array, value):
    """Set the last pixel of the last image, or whether the last label is of the last class."""
    changed = array.copy()
    changed.flat[-1] = value
    return changed


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("data/processed/train")
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", IMAGES)
    np.save(folder / "labels.npy", LABELS)
    return folder


@pytest.mark.parametrize(("side", "classes"), [(28, 10), (14, 5)])
def test_side_and_number_of_classes_are_those_of_the_arrays(folder, side, classes):
    np.save(folder / "images.npy", IMAGES[:, :side, :side])
    np.save(folder / "labels.npy", LABELS[:, :classes])
    images, labels = data.load("train")
    np.testing.assert_array_equal(images, IMAGES[:, :side, :side])
    np.testing.assert_array_equal(labels, LABELS[:, :classes])


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("images", end_with(IMAGES, np.nan), "not images"),
        ("images", end_with(IMAGES, 2), "not images"),
        ("labels", end_with(LABELS, 1), "one-hot"),
        ("images", IMAGES[:, :14], "not images"),
        ("images", IMAGES[:4], "not images"),
        ("labels", np.array([{}], object), "cannot be read"),
        ("images", b"", "cannot be read"),
        ("labels", None, "cannot be read"),
    ],
)
def test_other_arrays_are_refused_in_one_line(folder, name, content, problem):
    path = folder / f"{name}.npy"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(SystemExit, match=rf"^error: .*train: .*{problem}.*; restore them: dvc"):
        data.load("train")


def test_numbers_have_six_digits_and_lines_end_the_same_everywhere(tmp_path):
    path = tmp_path / "new" / "file"
    data.write_json(path, {"loss": 0.12345678, "inner": {"count": 1, "none": None}})
    expected = b'{\n  "loss": 0.123457,\n  "inner": {\n    "count": 1,\n    "none": null\n  }\n}\n'
    assert path.read_bytes() == expected
    data.write_csv(path, pd.DataFrame({"epoch": [1, 2], "loss": [1 / 3, 1e-7]}))
    assert path.read_bytes() == b"epoch,loss\n1,0.333333\n2,1e-07\n"
    with pytest.raises(ValueError, match="JSON"):
        data.write_json(path, {"loss": math.nan})


def test_what_is_written_changes_no_file_that_is_linked_to_it(tmp_path):
    """DVC may link results to its cache."""
    cached, path = tmp_path / "cached", tmp_path / "results.json"
    cached.write_text("old")
    path.hardlink_to(cached)
    data.write_json(path, {"loss": 1.0})
    assert cached.read_text() == "old"
