"""Arrays are what `preprocess` leaves, or are refused; tables always have the same bytes."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common import data

IMAGES = np.ones((5, 28, 28, 1), np.float32)
LABELS = np.eye(10, dtype=np.float32)[:5]


@pytest.mark.parametrize(
    ("labels", "problem"),
    [(LABELS * 0, "one-hot"), (LABELS[:4], "not images"), (None, "cannot be read")],
)
def test_other_arrays_are_refused_in_one_line(tmp_path, monkeypatch, labels, problem):
    monkeypatch.chdir(tmp_path)
    folder = Path("data/processed/train")
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", IMAGES)
    np.save(folder / "labels.npy", labels)
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
