"""Arrays in, tables and JSON out: the same values always give the same bytes."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

# Seeds differ in fewer digits than six; single precision holds seven.
FORMAT = "%.6g"


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Load the images and labels of "train", "validation" or "test".

    Images are float32 in [0, 1] of shape (N, side, side, 1); labels are one-hot float32 of shape
    (N, classes). Ends the process with one line where the files hold anything else.
    """
    folder = Path("data/processed", split)
    try:
        images, labels = (np.load(folder / f"{name}.npy") for name in ("images", "labels"))
        if (
            images.dtype == labels.dtype == np.float32
            and images.shape == (len(labels), images.shape[1], images.shape[1], 1)
            and 0 <= images.min() <= images.max() <= 1  # false for NaN too
            and np.array_equal(labels, np.eye(labels.shape[1])[labels.argmax(axis=1)])
        ):
            return images, labels
        problem = "not images (N, side, side, 1) in [0, 1] with one-hot labels (N, classes)"
    except (AttributeError, EOFError, IndexError, OSError, TypeError, ValueError) as error:
        problem = f"the arrays cannot be read ({error})"
    sys.exit(f"error: {folder.as_posix()}: {problem}; restore them: dvc repro preprocess")


def write_json(path, values: dict) -> None:
    """Write nested dictionaries of numbers, words and None as JSON.

    Floats get six significant digits. Raises ValueError for NaN or infinity.
    """
    _write(path, json.dumps(_round(values), indent=2, allow_nan=False) + "\n")


def write_csv(path, table: pd.DataFrame) -> None:
    """Write `table` without its index; floats get six significant digits."""
    _write(path, table.to_csv(index=False, float_format=FORMAT, lineterminator="\n"))


def _write(path, text: str) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # it may be a link into DVC's cache
    path.write_text(text, encoding="utf-8", newline="\n")


def _round(value):
    if isinstance(value, dict):
        return {key: _round(inner) for key, inner in value.items()}
    return float(FORMAT % value) if isinstance(value, float) else value
