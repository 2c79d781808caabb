"""Salt-and-pepper noise."""

import numpy as np


def salt_and_pepper(images: np.ndarray, noise_level, seed: int) -> np.ndarray:
    """A copy of `images` (float32 in [0, 1], any shape) with salt-and-pepper noise.

    Each pixel, independently, keeps its value with probability 1 − noise_level; otherwise it
    becomes 0 or 1 with equal chance. `noise_level` is a number, or an array with a level for each
    image, (N, 1) for images (N, 784). Raises ValueError for a level outside [0, 1].
    """
    if not 0 <= np.min(noise_level) <= np.max(noise_level) <= 1:
        raise ValueError(f"noise_level {noise_level} is outside [0, 1]")
    chance = np.random.default_rng(seed).random(images.shape, np.float32)
    noisy = images.copy()
    noisy[chance < noise_level] = 1
    noisy[chance < noise_level / 2] = 0
    return noisy
