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
    remedy = "restore them: dvc repro preprocess, or dvc checkout"
    try:
        images = np.load(folder / "images.npy")
        labels = np.load(folder / "labels.npy")
    except (OSError, ValueError, EOFError) as error:
        sys.exit(f"error: {folder}: the arrays cannot be read ({error}); {remedy}")
    problem = _find_problem(images, labels)
    if problem:
        sys.exit(f"error: {folder}: {problem}; {remedy}")
    return images, labels


def _find_problem(images, labels) -> str | None:
    if not (isinstance(images, np.ndarray) and isinstance(labels, np.ndarray)):
        return "the files are archives, not single arrays"
    if not images.dtype == labels.dtype == np.float32:
        return f"images are {images.dtype} and labels {labels.dtype}, not float32"
    count = len(labels) if labels.ndim else 0
    if count == 0 or images.shape != (count, 28, 28, 1) or labels.shape != (count, 10):
        return f"shapes {images.shape} and {labels.shape} are not (N, 28, 28, 1) and (N, 10)"
    if not (images.min() >= 0 and images.max() <= 1):  # false for NaN too
        return "images have values outside [0, 1]"
    if not ((labels.max(axis=1) == 1) & (np.count_nonzero(labels, axis=1) == 1)).all():
        return "labels are not one-hot"
    return None
