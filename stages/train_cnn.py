"""Train the convolutional network (published problem 3a)."""

import functools

import pandas as pd

from common import dataset, models, results
from common.classifier import ClassifierParameters, train_and_test
from common.noise import NoiseParameters, add_noise, add_noise_to_batch
from common.parameters import number, whole
from common.runtime import keras, tf


class CnnParameters(ClassifierParameters, NoiseParameters, section="train_cnn"):
    """Hold the convolutional network's parameters."""

    dropout: number("share of the last convolution's outputs that training drops", ge=0, lt=1)
    shift: whole("pixels, at most, that an epoch moves an image up, down, left or right", 0, 14)


def build(dropout: float):
    """Build the network: images (N, 28, 28, 1) to ten probabilities, 93,322 parameters."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu", name="convolution_1"),
            layers.MaxPooling2D(name="pooling_1"),
            layers.Conv2D(64, 3, activation="relu", name="convolution_2"),
            layers.MaxPooling2D(name="pooling_2"),
            layers.Conv2D(64, 3, activation="relu", name="convolution_3"),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="cnn",
    )


def move(images, seed, shift: int):
    """Move each of `images`, a tensor (N, 28, 28, 1), by whole pixels.

    Up or down, and left or right, each by a number from −shift to shift drawn from `seed` (int64,
    shape (2,)). What comes in from outside is black.
    """
    offsets = tf.random.stateless_uniform((len(images), 2), seed, 0, 2 * shift + 1, tf.int32)
    padded = tf.pad(images, [(0, 0), (shift, shift), (shift, shift), (0, 0)])
    rows = offsets[:, 0, tf.newaxis] + tf.range(28)
    columns = offsets[:, 1, tf.newaxis] + tf.range(28)
    moved = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(moved, columns, axis=2, batch_dims=1)


def augment(images, seed, parameters: CnnParameters):
    """Return the images of a training step, moved and noisy where the parameters say so."""
    if parameters.shift:
        images = move(images, seed, parameters.shift)
    if parameters.noise_drawn == "every_epoch":
        noise_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        images = add_noise_to_batch("philox", parameters, images, noise_seed)
    return images


def main(parameters: CnnParameters) -> None:
    images, labels = dataset.load("train")
    if parameters.noise_drawn == "once":
        images = add_noise(images, parameters, "train")
    network = functools.partial(build, parameters.dropout)
    change = functools.partial(augment, parameters=parameters)
    model, history, metrics = train_and_test(parameters, network, (images, labels), augment=change)
    models.save(model, "models/cnn.keras")
    results.write_csv("plots/train_cnn/history.csv", history)
    results.write_json("metrics/train_cnn.json", metrics)
    images, labels = dataset.load("test")
    probabilities = model.predict(images, batch_size=1000, verbose=0)
    predictions = {
        "image": range(len(images)),
        "actual": labels.argmax(axis=1),
        "predicted": probabilities.argmax(axis=1),
        "probability": probabilities.max(axis=1),
    }
    results.write_csv("plots/train_cnn/predictions.csv", pd.DataFrame(predictions))


if __name__ == "__main__":
    CnnParameters.run(main, __doc__)
