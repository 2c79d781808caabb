"""Train the denoising autoencoder (published problem 4a)."""

import functools
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from common.parameters import (
    BatchSize,
    Epochs,
    LearningRate,
    NoiseLevel,
    Parameters,
    Schedule,
    Seed,
    Threads,
)


def _ascending(levels: list) -> list:
    if levels[0] > levels[1]:
        raise ValueError("the range ends before it starts")
    return levels


class AutoencoderParameters(Parameters, section="train_ae"):
    learning_rate: LearningRate
    schedule: Schedule
    batch_size: BatchSize
    epochs: Epochs
    noise_level: Annotated[
        NoiseLevel
        | Annotated[
            list[NoiseLevel], Field(min_length=2, max_length=2), AfterValidator(_ascending)
        ],
        BeforeValidator(lambda words: words[0] if len(words) == 1 else words),
    ] = Field(
        description="share of pixels that turn black or white: from 0 to 1; or a range, its two "
        "ends in ascending order, from which each image's share is drawn",
    )
    noise_skew: float = Field(
        ge=1,
        le=10,
        description="how much more of the lower levels of the range are drawn: 1 draws evenly, "
        "more raises even draws from 0 to 1 to that power; from 1 to 10",
    )
    noise_drawn: Literal["once", "every_epoch"] = Field(
        description="when the noise of the training images is drawn: once, or every_epoch "
        "(that of the validation images is always drawn once)",
    )
    seed: Seed
    threads: Threads


def build():
    """Pixels (N, 784) in [0, 1] to as many: 226,416 parameters. Its two layers, `encoder` (to
    the latent code of 96) and `decoder`, are networks that can be used on their own."""
    import keras
    from keras import layers

    encoder = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(128, activation="relu", name="hidden_1"),
            layers.Dense(96, activation="relu", name="code"),
        ],
        name="encoder",
    )
    decoder = keras.Sequential(
        [
            keras.Input((96,)),
            layers.Dense(128, activation="relu", name="hidden_2"),
            layers.Dense(784, activation="sigmoid", name="pixels"),
        ],
        name="decoder",
    )
    return keras.Sequential([keras.Input((784,)), encoder, decoder], name="autoencoder")


def seasoned(images, seed, low: float, high: float, skew: float):
    """`images`, a tensor (N, 784), each with salt-and-pepper noise of a level of its own, low +
    (high − low) · u^skew with u drawn evenly from 0 to 1: as `salt_and_pepper` makes it, but
    inside a compiled epoch, from `seed` (int64, shape (2,))."""
    from common.runtime import tf

    # XLA's default generator takes twice this one's time.
    chance = tf.random.stateless_uniform((len(images), 784 + 1), seed, alg="threefry")
    chance, level = chance[:, :784], low + (high - low) * chance[:, 784:] ** skew
    return tf.where(chance < level / 2, 0.0, tf.where(chance < level, 1.0, images))


def main(parameters: AutoencoderParameters) -> None:
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    import numpy as np

    from common import dataset, models, results
    from common.noise import salt_and_pepper
    from common.runtime import keras, set_up
    from common.seeds import derive_seed
    from common.training import scheduled, train

    level = parameters.noise_level
    low, high = level if isinstance(level, list) else (level, level)
    every_epoch = parameters.noise_drawn == "every_epoch"

    def noisy_and_clean(split):
        clean = dataset.load(split)[0].reshape(-1, 784)
        if split == "train" and every_epoch:
            return clean, clean
        random = np.random.default_rng(derive_seed(parameters.seed, "noise level", split))
        levels = low + (high - low) * random.random((len(clean), 1)) ** parameters.noise_skew
        seed = derive_seed(parameters.seed, "noise", split)
        return salt_and_pepper(clean, levels.astype(np.float32), seed), clean

    set_up(derive_seed(parameters.seed, "weights"), parameters.threads)
    model, training = build(), noisy_and_clean("train")
    augment = functools.partial(seasoned, low=low, high=high, skew=parameters.noise_skew)
    history = train(
        model,
        keras.optimizers.Adam(scheduled(parameters, len(training[0]))),
        keras.losses.BinaryCrossentropy(),
        training,
        noisy_and_clean("validation"),
        batch_size=parameters.batch_size,
        epochs=parameters.epochs,
        seed=derive_seed(parameters.seed, "shuffling"),
        augment=augment if every_epoch else None,
    )
    metrics = history.iloc[-1].drop("epoch").to_dict() | {"parameters": model.count_params()}
    models.save(model, "models/autoencoder.keras")
    results.write_csv("plots/train_ae/history.csv", history)
    results.write_json("metrics/train_ae.json", metrics)


if __name__ == "__main__":
    AutoencoderParameters.run(main, __doc__)
