"""Salt-and-pepper noise, for training and for measuring."""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from common.params import Params
from common.runtime import derive_seed, tf

NoiseLevel = Annotated[
    float, Field(ge=0, le=1, description="share of pixels that turn black or white")
]


class NoiseParams(Params):
    """Say how noise is added to training images."""

    noise_level: NoiseLevel | Annotated[list[NoiseLevel], Field(min_length=2, max_length=2)] = (
        Field(
            description="share of a training image's pixels that turn black or white; "
            "or a range from which each image draws its own"
        )
    )
    noise_skew: float = Field(
        ge=1,
        le=10,
        description="1 draws all levels of the range equally often, more the low ones more",
    )
    noise_drawn: Literal["once", "every_epoch"] = Field(
        description="when the noise of the training images is drawn"
    )

    @field_validator("noise_level")
    @classmethod
    def _start_with_the_lower_end(cls, level):
        if isinstance(level, list) and level[0] > level[1]:
            raise ValueError("the range ends before it starts; write its lower end first")
        return level

    @property
    def noise_range(self) -> tuple[float, float]:
        """The lowest and the highest level; one level stands for both."""
        if isinstance(self.noise_level, list):
            low, high = self.noise_level
            return low, high
        return self.noise_level, self.noise_level


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


def add_noise(images: np.ndarray, params, split: str) -> np.ndarray:
    """Return a copy of `images` with noise drawn once, as `params` say.

    Images are float32 in [0, 1], (N, …). `params` are NoiseParams with a seed; `split` names the
    images, so that each set gets noise of its own.
    """
    low, high = params.noise_range
    random = np.random.default_rng(derive_seed(params.seed, "noise level", split))
    share = random.random(len(images)).reshape(-1, *[1] * (images.ndim - 1))
    levels = low + (high - low) * share**params.noise_skew
    seed = derive_seed(params.seed, "noise", split)
    return salt_and_pepper(images, levels.astype(np.float32), seed)


def add_noise_to_batch(generator: str, params, images, seed):
    """Add new noise to a batch, inside a compiled epoch.

    `images` is a float32 tensor (N, …), and so is the result. Each image draws a level of its
    own, low + (high − low) · u^skew, with u even in [0, 1]. `seed` is int64, (2,). `generator`
    names TensorFlow's random number generator: "threefry" is fast with XLA, "philox" without.
    """
    low, high = params.noise_range
    size = math.prod(images.shape[1:])
    draws = tf.random.stateless_uniform((len(images), size + 1), seed, alg=generator)
    level = low + (high - low) * draws[:, size:] ** params.noise_skew
    pixels = tf.reshape(images, (-1, size))
    chance = draws[:, :size]
    noisy = tf.where(chance < level / 2, 0.0, tf.where(chance < level, 1.0, pixels))
    return tf.reshape(noisy, tf.shape(images))
