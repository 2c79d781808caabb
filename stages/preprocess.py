"""Turn the original files into arrays for training, validation and test."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from common import environment, results
from common.idx import read_idx
from common.parameters import Parameters, Seed, whole


class PreprocessParameters(Parameters, section="preprocess"):
    """Hold which images are used for what."""

    limit: Annotated[
        tuple[whole("training images", 10, 60_000), whole("test images", 10, 10_000)] | None,
        # DVC writes a null of params.yaml as the word None.
        BeforeValidator(lambda words: None if words == "None" else words),
        Field(
            description="null for all images; or, for a quick look, two numbers: training images "
            "(10 to 60,000), test images (10 to 10,000)"
        ),
    ]
    validation: Literal["test"] | whole("training images", 10, 50_000) = Field(
        description="what later stages validate on: test (the test images, as published), or "
        "how many training images are held out, from 10 to 50,000"
    )
    seed: Seed

    @field_validator("validation")
    @classmethod
    def _leave_some_to_train_on(cls, validation, others: ValidationInfo):
        limit = others.data.get("limit")
        if limit and validation != "test" and validation >= limit[0]:
            raise ValueError(f"limit allows {limit[0]} training images; hold out fewer")
        return validation


def hold_out(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw `count` labels, each class in proportion.

    Returns a mask (N,). A class gives its exact share, rounded down; those with the largest
    remainders give one more.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    # Whole numbers throughout: a share is never off by a rounding error.
    shares, remainders = np.divmod(sizes * count, len(labels))
    shares[np.argsort(-remainders, kind="stable")[: count - shares.sum()]] += 1
    random = np.random.default_rng(seed)
    mask = np.zeros(len(labels), bool)
    for digit, share in zip(classes, shares, strict=True):
        mask[random.permutation(np.flatnonzero(labels == digit))[:share]] = True
    return mask


def split(parameters: PreprocessParameters) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images (N, 28, 28) and labels (N,), uint8, for train, validation and test."""
    names = "images-idx3-ubyte", "labels-idx1-ubyte"
    train, test = (
        [read_idx(f"data/raw/{kind}-{name}")[:size] for name in names]
        for kind, size in zip(("train", "t10k"), parameters.limit or (None, None), strict=True)
    )
    validation = test
    if parameters.validation != "test":
        held = hold_out(train[1], parameters.validation, parameters.seed)
        validation = [array[held] for array in train]
        train = [array[~held] for array in train]
    return {"train": train, "validation": validation, "test": test}


def main(parameters: PreprocessParameters) -> None:
    environment.check()
    arrays = split(parameters)
    for name, (images, labels) in arrays.items():
        folder = Path("data/processed", name)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "images.npy", images[..., np.newaxis] / np.float32(255))
        np.save(folder / "labels.npy", np.eye(10, dtype=np.float32)[labels])
    train, validation, test = (len(labels) for _, labels in arrays.values())
    counts = {"training_images": train, "validation_images": validation, "test_images": test}
    results.write_json("metrics/preprocess.json", counts)


if __name__ == "__main__":
    PreprocessParameters.run(main, __doc__)
