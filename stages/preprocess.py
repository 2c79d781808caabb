"""Turn the original files into arrays for training, validation and test."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from common.idx import read_idx
from common.parameters import Nullable, Parameters, Seed

RAW = Path("data/raw")
PROCESSED = Path("data/processed")


class PreprocessParameters(Parameters, section="preprocess"):
    validation: Literal["test"] | Annotated[int, Field(ge=10, le=50_000)] = Field(
        description="what the stages validate on: test (the test images, as published), or how "
        "many training images to hold out, a whole number from 10 to 50,000",
    )
    limit: Annotated[
        Annotated[list[Annotated[int, Field(ge=10)]], Field(min_length=2, max_length=2)] | None,
        Nullable,
    ] = Field(
        description="null for all images, or the numbers of training and test images to take "
        "for a quick look: two whole numbers from 10 up",
    )
    seed: Seed


def normalise(images: np.ndarray) -> np.ndarray:
    """uint8 images of shape (N, 28, 28) as float32 in [0, 1] of shape (N, 28, 28, 1)."""
    return images[..., np.newaxis] / np.float32(255)


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Digits 0–9, uint8 of shape (N,), as float32 of shape (N, 10): 1 at the digit, else 0."""
    return np.eye(10, dtype=np.float32)[labels]


def hold_out(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A mask of shape (N,), true for `count` of the N labels, drawn from `seed`, every class
    in proportion to its share: its exact share rounded down, and what is then missing from
    the classes with the largest remainders. Raises ValueError unless 0 < count < N."""
    if not 0 < count < len(labels):
        raise ValueError(f"cannot hold out {count} of {len(labels)} images")
    classes, sizes = np.unique(labels, return_counts=True)
    # Whole numbers throughout: a share is never off by a rounding error.
    shares, remainders = np.divmod(sizes * count, len(labels))
    shares[np.argsort(-remainders, kind="stable")[: count - shares.sum()]] += 1
    random = np.random.default_rng(seed)
    mask = np.zeros(len(labels), bool)
    for digit, share in zip(classes, shares, strict=True):
        mask[random.permutation(np.flatnonzero(labels == digit))[:share]] = True
    return mask


def read(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) and labels (N,), uint8, of `kind`: "train" or "t10k"."""
    try:
        images = read_idx(RAW / f"{kind}-images-idx3-ubyte")
        labels = read_idx(RAW / f"{kind}-labels-idx1-ubyte")
    except ValueError as error:
        raise ValueError(f"{error}; restore it: dvc repro fetch") from error
    if images.shape != (len(labels), 28, 28) or labels.max(initial=0) > 9:
        raise ValueError(
            f"{RAW}: {kind} images {images.shape} do not fit labels {labels.shape}; "
            "restore them: dvc repro fetch"
        )
    return images, labels


def split(parameters: PreprocessParameters) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and labels, uint8, for "train", "validation" and "test"."""
    train, test = read("train"), read("t10k")
    if parameters.limit:
        for name, pair, size in zip(
            ("training", "test"), (train, test), parameters.limit, strict=True
        ):
            if size > len(pair[0]):
                raise ValueError(f"limit: there are {len(pair[0])} {name} images, not {size}")
        train, test = (
            tuple(array[:size] for array in pair)
            for pair, size in zip((train, test), parameters.limit, strict=True)
        )
    if parameters.validation == "test":
        return {"train": train, "validation": test, "test": test}
    held = hold_out(train[1], parameters.validation, parameters.seed)
    return {
        "train": tuple(array[~held] for array in train),
        "validation": tuple(array[held] for array in train),
        "test": test,
    }


def main(parameters: PreprocessParameters) -> None:
    try:
        splits = split(parameters)
    except ValueError as error:
        sys.exit(f"error: preprocess: {error}")
    for name, (images, labels) in splits.items():
        folder = PROCESSED / name
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "images.npy", normalise(images))
        np.save(folder / "labels.npy", one_hot(labels))
        print(f"preprocess: {len(images)} images for {name}", flush=True)


if __name__ == "__main__":
    PreprocessParameters.run(main, __doc__)
