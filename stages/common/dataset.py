"""The processed images, as `preprocess` leaves them and the later stages read them."""

import sys
from pathlib import Path

import numpy as np

FOLDER = Path("data/processed")


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Load images and labels of `split`: "train", "validation" or "test".

    Images are float32 in [0, 1] of shape (N, 28, 28, 1); labels are one-hot float32 of
    shape (N, 10). Ends the process with one line where the files hold anything else.
    """
    folder = FOLDER / split
    try:
        images, labels = (np.load(folder / f"{name}.npy") for name in ("images", "labels"))
        if _are_digits(images, labels):
            return images, labels
        problem = "not images (N, 28, 28, 1) in [0, 1] with one-hot labels (N, 10), float32"
    except (OSError, ValueError, EOFError) as error:
        problem = f"the arrays cannot be read ({error})"
    sys.exit(f"error: {folder}: {problem}; restore them: dvc repro preprocess, or dvc checkout")


def _are_digits(images, labels) -> bool:
    return bool(
        all(isinstance(array, np.ndarray) for array in (images, labels))
        and images.dtype == labels.dtype == np.float32
        and images.size > 0
        and images.shape == (len(images), 28, 28, 1)
        and labels.shape == (len(images), 10)
        and 0 <= images.min() <= images.max() <= 1  # false for NaN too
        and ((labels.max(axis=1) == 1) & (np.count_nonzero(labels, axis=1) == 1)).all()
    )
