"""The processed images, as `preprocess` leaves them and the later stages read them."""

import sys
from pathlib import Path

import numpy as np

FOLDER = Path("data/processed")


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of `split`: "train", "validation" or "test".

    Images are float32 in [0, 1] of shape (N, 28, 28, 1); labels are one-hot float32 of
    shape (N, 10). Ends the process with one line where the files are anything else.
    """
    folder = FOLDER / split
    try:
        images = np.load(folder / "images.npy")
        labels = np.load(folder / "labels.npy")
    except (OSError, ValueError, EOFError) as error:
        sys.exit(f"error: {folder}: cannot be read ({error}); restore it: dvc repro preprocess")
    if not (
        images.dtype == labels.dtype == np.float32
        and images.shape == (len(labels), 28, 28, 1)
        and labels.shape == (len(images), 10)
        and len(images) > 0
    ):
        sys.exit(
            f"error: {folder}: images {images.dtype} {images.shape} and labels {labels.dtype} "
            f"{labels.shape} are not (N, 28, 28, 1) and (N, 10) in float32; "
            "restore them: dvc repro preprocess"
        )
    return images, labels
