import io
from pathlib import Path

import numpy as np
import pytest

from common import dataset

IMAGES = np.ones((5, 28, 28, 1), np.float32)
LABELS = np.eye(10, dtype=np.float32)[:5]
WRONG = np.nan, np.inf, -1e-6, 2  # neither a pixel nor a share of a class
ARCHIVE = io.BytesIO()
np.savez(ARCHIVE, images=IMAGES)


def end_with(array, value):
    """Set the last pixel of the last image, or whether the last label is a 9."""
    changed = array.copy()
    changed.flat[-1] = value
    return changed


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        *[("images", end_with(IMAGES, value), "not images") for value in WRONG],
        *[("labels", end_with(LABELS, value), "one-hot") for value in WRONG],
        ("labels", end_with(LABELS, 0.5), "one-hot"),
        ("labels", end_with(LABELS, 1), "one-hot"),
        ("labels", np.zeros((5, 10), np.float32), "one-hot"),
        ("labels", np.zeros((5, 11), np.float32), "one-hot"),
        ("labels", np.float32(1), "one-hot"),
        ("images", IMAGES[:4], "not images"),
        ("images", IMAGES[:0], "not images"),
        ("images", IMAGES.astype(np.float64), "float32"),
        ("labels", np.array([{}], object), "cannot be read"),
        ("images", ARCHIVE.getvalue(), "cannot be read"),
        ("images", b"", "cannot be read"),
        ("labels", None, "cannot be read"),
    ],
)
def test_other_arrays_are_refused_in_one_line(tmp_path, monkeypatch, name, content, problem):
    monkeypatch.chdir(tmp_path)
    folder = Path("data/processed/train")
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", IMAGES)
    np.save(folder / "labels.npy", LABELS)
    np.testing.assert_array_equal(dataset.load("train")[1], LABELS)
    path = folder / f"{name}.npy"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(SystemExit, match=rf"^error: .*train: .*{problem}.*; restore them: dvc"):
        dataset.load("train")
