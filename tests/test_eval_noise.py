import numpy as np
import pandas as pd
import pytest

from common.noise import salt_and_pepper
from eval_noise import class_rates, similarity, ssim, summarise


def test_class_rates():
    rates = class_rates(np.array([0, 0, 0, 1, 1, 9]), np.array([0, 0, 5, 1, 1, 8]))
    assert rates[:2] == pytest.approx([2 / 3, 1])
    assert np.isnan(rates[2:9]).all()
    assert rates[9] == 0


@pytest.mark.parametrize("noise_level", [0.0, 0.3, 1.0])
def test_structural_similarity_is_tensorflows(tensorflow, noise_level):
    images = np.random.default_rng(0).random((20, 28, 28), np.float32)
    noisy = salt_and_pepper(images, noise_level, seed=1)
    expected = tensorflow.image.ssim(noisy[..., None], images[..., None], max_val=1.0)
    np.testing.assert_allclose(ssim(noisy, images), expected, atol=2e-5)


def test_identical_images_are_perfectly_similar():
    images = np.random.default_rng(0).random((1500, 28, 28, 1), np.float32)
    assert similarity(images, images) == {"ssim": pytest.approx(1), "psnr": np.inf}


def test_psnr_of_a_known_error():
    images = np.full((4, 28, 28, 1), 0.5, np.float32)
    assert similarity(images + 0.1, images)["psnr"] == pytest.approx(20, abs=1e-4)


def test_summary_over_draws():
    draws = pd.DataFrame({"noise_level": [0, 0, 1], "draw": [0, 1, 0], "rate": [0.1, 0.3, 0.5]})
    summary = summarise(draws)
    assert list(summary.rate) == pytest.approx([0.2, 0.5])
    assert list(summary.rate_std) == pytest.approx([np.sqrt(0.02), 0])
