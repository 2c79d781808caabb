"""Salt-and-pepper noise, for training and for measuring."""

import math
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from common.parameters import Parameters, choice, number
from common.runtime import derive_seed, tf

NoiseLevel = number("share of pixels that turn black or white", ge=0, le=1)


def _refuse_descending(levels: tuple[float, float]) -> tuple[float, float]:
    if levels[0] > levels[1]:
        raise ValueError("the range ends before it starts; write its lower end first")
    return levels


class NoiseParameters(Parameters):
    """Hold how noise is added to training images."""

    noise_level: Annotated[
        tuple[NoiseLevel, NoiseLevel],
        AfterValidator(_refuse_descending),
        # One level stands for both ends of the range.
        BeforeValidator(lambda words: words if isinstance(words, list) else [words, words]),
        Field(
            description="share of a training image's pixels that turn black or white, from 0 to 1; "
            "or two numbers, a range from which each image's share is drawn"
        ),
    ]
    noise_skew: number(
        "1 draws all levels of the range equally often, more the low ones more", ge=1, le=10
    )
    noise_drawn: choice("when the noise of the training images is drawn", "once", "every_epoch")


def salt_and_pepper(images: np.ndarray, noise_level, seed: int) -> np.ndarray:
    """Return a copy of `images` with salt-and-pepper noise.

    Images are float32 in [0, 1], of any shape. Each pixel, independently, keeps its value with
    probability 1 − noise_level; otherwise it becomes 0 or 1 with equal chance. `noise_level`, in
    [0, 1], is a number, or an array with a level for each image, (N, 1) for images (N, 784).
    """
    chance = np.random.default_rng(seed).random(images.shape, np.float32)
    noisy = images.copy()
    noisy[chance < noise_level] = 1
    noisy[chance < noise_level / 2] = 0
    return noisy


def add_noise(images: np.ndarray, parameters, split: str) -> np.ndarray:
    """Return a copy of `images` with noise drawn once, as `parameters` say.

    Images are float32 in [0, 1], (N, …). `parameters` are NoiseParameters with a seed; `split`
    names the images, so that each set gets noise of its own.
    """
    low, high = parameters.noise_level
    random = np.random.default_rng(derive_seed(parameters.seed, "noise level", split))
    share = random.random(len(images)).reshape(-1, *[1] * (images.ndim - 1))
    levels = low + (high - low) * share**parameters.noise_skew
    seed = derive_seed(parameters.seed, "noise", split)
    return salt_and_pepper(images, levels.astype(np.float32), seed)


def add_noise_to_batch(generator: str, parameters, images, seed):
    """Add new noise to a batch, inside a compiled epoch.

    `images` is a float32 tensor (N, …), and so is the result. Each image draws a level of its
    own, low + (high − low) · u^skew, with u even in [0, 1]. `seed` is int64, (2,). `generator`
    names TensorFlow's random number generator: "threefry" is fast with XLA, "philox" without.
    """
    low, high = parameters.noise_level
    size = math.prod(images.shape[1:])
    draws = tf.random.stateless_uniform((len(images), size + 1), seed, alg=generator)
    level = low + (high - low) * draws[:, size:] ** parameters.noise_skew
    pixels = tf.reshape(images, (-1, size))
    chance = draws[:, :size]
    noisy = tf.where(chance < level / 2, 0.0, tf.where(chance < level, 1.0, pixels))
    return tf.reshape(noisy, tf.shape(images))
