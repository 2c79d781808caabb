"""Train the convolutional network (published problem 3a)."""

import functools
from typing import ClassVar

import pandas as pd
from pydantic import Field

from common import data, networks
from common.noise import NoiseParams, add_noise, add_noise_to_batch
from common.runtime import derive_seed, keras, set_up, tf
from common.training import ClassifierParams, make_sgd, train_classifier


class CnnParams(ClassifierParams, NoiseParams):
    """Parameters of the convolutional network: section train_cnn of params.yaml."""

    section: ClassVar = "train_cnn"

    dropout: float = Field(
        ge=0, lt=1, description="share of the last convolution's outputs that training drops"
    )
    shift: int = Field(
        ge=0,
        le=14,
        description="pixels, at most, that an epoch moves an image up, down, left or right",
    )


def build(shape: tuple[int, ...], classes: int, dropout: float):
    """Build the network: images (N, *shape) to the probabilities of `classes`."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(32, 3, activation="relu", name="convolution_1"),
            layers.MaxPooling2D(name="pooling_1"),
            layers.Conv2D(64, 3, activation="relu", name="convolution_2"),
            layers.MaxPooling2D(name="pooling_2"),
            layers.Conv2D(64, 3, activation="relu", name="convolution_3"),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(classes, activation="softmax", name="digit"),
        ],
        name="cnn",
    )


def move(images, seed, shift: int):
    """Move each of `images`, a tensor (N, side, side, 1), by whole pixels.

    Up or down, and left or right, each by a number from −shift to shift drawn from `seed` (int64,
    shape (2,)). What comes in from outside is black.
    """
    side = images.shape[1]
    offsets = tf.random.stateless_uniform((len(images), 2), seed, 0, 2 * shift + 1, tf.int32)
    padded = tf.pad(images, [(0, 0), (shift, shift), (shift, shift), (0, 0)])
    rows = offsets[:, 0, tf.newaxis] + tf.range(side)
    columns = offsets[:, 1, tf.newaxis] + tf.range(side)
    moved = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(moved, columns, axis=2, batch_dims=1)


def augment(images, seed, params: CnnParams):
    """Return the images of a training step, moved and noisy where the parameters say so."""
    if params.shift:
        images = move(images, seed, params.shift)
    if params.noise_drawn == "every_epoch":
        noise_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        images = add_noise_to_batch("philox", params, images, noise_seed)
    return images


def predict(model, images, labels) -> pd.DataFrame:
    """List the class that each image is read as, and how sure the network is."""
    probabilities = model.predict(images, batch_size=1000, verbose=0)
    return pd.DataFrame(
        {
            "image": range(len(images)),
            "actual": labels.argmax(axis=1),
            "predicted": probabilities.argmax(axis=1),
            "probability": probabilities.max(axis=1),
        }
    )


def main(params: CnnParams) -> None:
    set_up(derive_seed(params.seed, "weights"), params.threads)
    images, labels = data.load("train")
    if params.noise_drawn == "once":
        images = add_noise(images, params, "train")
    model = build(images.shape[1:], labels.shape[1], params.dropout)
    model.compile(make_sgd(params, len(images)), "categorical_crossentropy", metrics=["accuracy"])
    history, tested = train_classifier(
        model,
        (images, labels),
        params,
        seed=derive_seed(params.seed, "shuffling"),
        augment=functools.partial(augment, params=params),
    )
    predictions = predict(model, *data.load("test"))
    networks.save(model, "cnn")
    data.write_csv("plots/train_cnn/history.csv", history)
    data.write_csv("plots/train_cnn/predictions.csv", predictions)
    data.write_json("metrics/train_cnn.json", tested)


if __name__ == "__main__":
    main(CnnParams.load())
