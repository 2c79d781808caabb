"""Turn the original files into arrays for training, validation and test."""

import sys
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NoReturn

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from common import data
from common.params import Params, Seed

MAGIC = bytes([0, 0, 8])
Count = Annotated[int, Field(ge=10)]


class PreprocessParams(Params):
    """Parameters of the arrays: section preprocess of params.yaml."""

    section: ClassVar = "preprocess"

    limit: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = Field(
        description="for a quick look, how many training images and how many test images"
    )
    validation: Literal["test"] | Count = Field(
        description="what later stages validate on: the test images, as published; or how many "
        "training images are held out"
    )
    seed: Seed

    @field_validator("validation")
    @classmethod
    def _leave_some_to_train_on(cls, validation, others: ValidationInfo):
        limit = others.data.get("limit")
        if limit and validation != "test" and validation >= limit[0]:
            raise ValueError(f"limit allows {limit[0]} training images; hold out fewer")
        return validation


def read_idx(path) -> np.ndarray:
    """Read an IDX file: a read-only uint8 array of any shape.

    Two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as a
    big-endian 32-bit integer, then the values in row-major order. Source:
    http://yann.lecun.com/exdb/mnist/ ("the IDX file format"). Ends the process with one line if
    it is no IDX file of unsigned bytes.
    """
    content = Path(path).read_bytes()
    try:
        if content[:3] != MAGIC:
            raise ValueError(f"it starts with {content[:3].hex()}")
        shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
        return np.frombuffer(content, np.uint8)[4 + shape.nbytes :].reshape(shape)
    except (IndexError, ValueError) as error:
        sys.exit(f"error: {path}: not an IDX file ({error}); restore it: dvc repro fetch")


def read_images(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the images (N, side, side) and labels (N,) of "train" or "t10k".

    Ends the process with one line if the files do not hold that.
    """
    images_file = f"data/raw/{kind}-images-idx3-ubyte"
    labels_file = f"data/raw/{kind}-labels-idx1-ubyte"
    images, labels = read_idx(images_file), read_idx(labels_file)
    if labels.ndim != 1:
        refuse(f"{labels_file}: its shape is {labels.shape}; labels are a row of numbers")
    if images.ndim != 3 or images.shape[1] != images.shape[2]:
        refuse(f"{images_file}: its shape is {images.shape}; grey, square images are needed")
    if not images.size or len(images) != len(labels):
        refuse(f"{images_file} has {len(images)} images, {labels_file} {len(labels)} labels")
    return images, labels


def refuse(problem: str) -> NoReturn:
    sys.exit(f"error: {problem}; correct the files that fetch.sources names")


def hold_out(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw `count` labels, each class in proportion.

    Returns a mask (N,). A class gives its exact share, rounded down; those with the largest
    remainders give one more.
    """
    if count >= len(labels):
        sys.exit(
            f"error: preprocess.validation = {count}: there are {len(labels)} training images; "
            "hold out fewer"
        )
    classes, sizes = np.unique(labels, return_counts=True)
    # Whole numbers throughout: a share is never off by a rounding error.
    shares, remainders = np.divmod(sizes * count, len(labels))
    shares[np.argsort(-remainders, kind="stable")[: count - shares.sum()]] += 1
    random = np.random.default_rng(seed)
    mask = np.zeros(len(labels), bool)
    for label, share in zip(classes, shares, strict=True):
        mask[random.permutation(np.flatnonzero(labels == label))[:share]] = True
    return mask


def split(params: PreprocessParams) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images (N, side, side), uint8, and labels (N, classes): train, validation, test."""
    train, test = read_images("train"), read_images("t10k")
    if test[0].shape[1] != train[0].shape[1]:
        refuse(
            f"data/raw: training images of {train[0].shape[1:]} pixels, "
            f"test images of {test[0].shape[1:]}"
        )
    if unseen := sorted(set(test[1].tolist()) - set(train[1].tolist())):
        refuse(f"data/raw/t10k-labels-idx1-ubyte: no training image has label {unseen[0]}")
    classes = np.eye(int(train[1].max()) + 1, dtype=np.float32)
    if params.limit:
        train, test = (
            (images[:size], labels[:size])
            for (images, labels), size in zip((train, test), params.limit, strict=True)
        )
    validation = test
    if params.validation != "test":
        held = hold_out(train[1], params.validation, params.seed)
        validation = train[0][held], train[1][held]
        train = train[0][~held], train[1][~held]
    splits = {"train": train, "validation": validation, "test": test}
    return {name: (images, classes[labels]) for name, (images, labels) in splits.items()}


def main(params: PreprocessParams) -> None:
    sizes = {}
    for name, (images, labels) in split(params).items():
        folder = Path("data/processed", name)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "images.npy", images[..., np.newaxis] / np.float32(255))
        np.save(folder / "labels.npy", labels)
        sizes[f"{'training' if name == 'train' else name}_images"] = len(images)
    data.write_json("data/processed/sizes.json", sizes)


if __name__ == "__main__":
    main(PreprocessParams.load())
