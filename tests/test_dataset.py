import numpy as np
import pytest

from common import dataset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Processed arrays of five white images, for training."""
    monkeypatch.setattr(dataset, "FOLDER", tmp_path)
    (tmp_path / "train").mkdir()
    np.save(tmp_path / "train" / "images.npy", np.ones((5, 28, 28, 1), np.float32))
    np.save(tmp_path / "train" / "labels.npy", np.eye(10, dtype=np.float32)[:5])
    return tmp_path / "train"


def save(name, array):
    return lambda folder: np.save(folder / name, array, allow_pickle=True)


def change(name, value):
    """Set the last pixel of the last image, or whether the last label is a 9."""

    def damage(folder):
        array = np.load(folder / name)
        array.flat[-1] = value
        np.save(folder / name, array)

    return damage


def empty(folder):
    np.save(folder / "images.npy", np.ones((0, 28, 28, 1), np.float32))
    np.save(folder / "labels.npy", np.ones((0, 10), np.float32))


def archive(folder):
    with (folder / "images.npy").open("wb") as file:
        np.savez(file, images=np.ones((5, 28, 28, 1), np.float32))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        *[(change("images.npy", value), "not images") for value in (np.nan, -1e-6, 2, np.inf)],
        *[(change("labels.npy", value), "one-hot") for value in (1, 0.5, -1, np.nan)],
        (save("labels.npy", np.zeros((5, 10), np.float32)), "one-hot"),
        (save("images.npy", np.ones((4, 28, 28, 1), np.float32)), "not images"),
        (save("labels.npy", np.zeros((5, 11), np.float32)), "one-hot"),
        (save("labels.npy", np.float32(1)), "one-hot"),
        (save("images.npy", np.ones((5, 28, 28, 1))), "float32"),
        (save("labels.npy", np.array([{}], object)), "cannot be read"),
        (empty, "cannot be read"),
        (archive, "cannot be read"),
        (lambda folder: (folder / "images.npy").write_bytes(b""), "cannot be read"),
        (lambda folder: (folder / "labels.npy").unlink(), "cannot be read"),
    ],
)
def test_other_arrays_are_refused_in_one_line(folder, damage, problem):
    dataset.load("train")
    damage(folder)
    with pytest.raises(SystemExit, match=rf"^error: .*train: .*{problem}.*; restore them: dvc"):
        dataset.load("train")
