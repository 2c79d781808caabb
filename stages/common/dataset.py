"""The processed images, as `preprocess` leaves them and the later stages read them."""

import sys

import numpy as np


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Load images and labels of `split`: "train", "validation" or "test".

    Images are float32 in [0, 1] of shape (N, 28, 28, 1); labels are one-hot float32 of
    shape (N, 10). Ends the process with one line where the files hold anything else.
    """
    folder = f"data/processed/{split}"
    try:
        images, labels = (np.load(f"{folder}/{name}.npy") for name in ("images", "labels"))
        if (
            images.dtype == labels.dtype == np.float32
            and images.shape == (*labels.shape[:1], 28, 28, 1)
            and 0 <= images.min() <= images.max() <= 1  # false for NaN too
            and np.array_equal(labels, np.eye(10)[labels.argmax(axis=-1)])
        ):
            return images, labels
        problem = "not images (N, 28, 28, 1) in [0, 1] with one-hot labels (N, 10), float32"
    except (AttributeError, EOFError, IndexError, OSError, ValueError) as error:
        problem = f"the arrays cannot be read ({error})"
    sys.exit(f"error: {folder}: {problem}; restore them: dvc repro preprocess, or dvc checkout")
