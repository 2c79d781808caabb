"""What eval_noise measures is right, for any network that fits the images."""

import numpy as np
import pytest

import eval_noise
from common import networks
from common.noise import salt_and_pepper
from common.runtime import derive_seed, keras
from eval_noise import EvalParams, load_network, measure, ssim

PARAMS = EvalParams(
    noise_levels=[0.0, 0.4, 1.0], draws=2, examples=[2, 0], classifier="cnn", seed=5, threads=1
)
CONTEXT = ["noise_level", "draw", "kind"]
# Thirty smooth, dark images of 14 × 14, in [0, 1].
RANDOM = np.random.default_rng(1).random((30, 14, 14, 1), np.float32)
IMAGES = RANDOM.cumsum(axis=2).astype(np.float32) / 14


def test_ssim_is_tensorflows_and_psnr_follows_from_the_squared_error(tensorflow):
    noisy = salt_and_pepper(IMAGES, 0.3, 1)
    expected = tensorflow.image.ssim(noisy, IMAGES, max_val=1.0)
    np.testing.assert_allclose(ssim(noisy[..., 0], IMAGES[..., 0]), expected, atol=1e-5)
    closeness = eval_noise.compare_images(IMAGES + np.float32(0.1), IMAGES)
    assert closeness["psnr"] == pytest.approx(20, abs=1e-3)
    assert eval_noise.compare_images(IMAGES, IMAGES) == {"ssim": 1, "psnr": np.inf}


def test_every_draw_of_every_kind_is_measured(tensorflow):
    """The classifier says 4 of bright images, 1 of others; all are dark, and denoised bright."""
    labels = np.eye(5, dtype=np.float32)[[4, 1, 2] * 10]

    def classify(shown):
        return np.eye(5)[np.where(shown.mean((1, 2, 3)) > 0.5, 4, 1)]

    tables, pixels = measure(PARAMS, IMAGES, labels, classify, lambda noisy: 1 - noisy)
    rates = tables["rates"]
    draws = 1 + 2 + 2  # of the three levels
    assert rates.images.tolist() == [0, 10, 10, 0, 10] * 3 * draws
    clean = rates[rates.noise_level == 0].groupby("kind")[["recognised", "answered"]].agg(list)
    assert clean.loc["noisy"].tolist() == [[0, 10, 0, 0, 0], [0, 30, 0, 0, 0]]
    assert clean.loc["denoised"].tolist() == [[0, 0, 0, 0, 10], [0, 0, 0, 0, 30]]

    assert tables["examples"].image.tolist() == [2, 0] * 3 * 3
    assert tables["examples"].actual.tolist() == [2, 4] * 3 * 3
    original, noisy, filtered, denoised = pixels[1]
    np.testing.assert_array_equal(original, IMAGES[[2, 0]])
    expected = salt_and_pepper(IMAGES, 0.4, derive_seed(5, 0.4, 0))
    np.testing.assert_array_equal(noisy, expected[[2, 0]])
    corner = np.median(np.pad(expected[2, :2, :2, 0], [(1, 0), (1, 0)]))
    assert filtered[0, 0, 0, 0] == corner, "with black outside"
    np.testing.assert_array_equal(denoised, 1 - noisy)
    reconstruction = tables["reconstruction"].set_index(CONTEXT)
    closeness = eval_noise.compare_images(expected, IMAGES)
    assert reconstruction.loc[0.4, 0, "noisy"].to_dict() == pytest.approx(closeness)


def test_network_takes_images_in_its_own_shape_or_is_refused(tensorflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(eval_noise, "BATCH", 20)
    model = keras.Sequential([keras.Input((196,)), keras.layers.Rescaling(0.5)])
    model.compile("sgd", "mse")
    networks.save(model, "net")
    infer = load_network("net", (14, 14, 1), (14, 14, 1))
    np.testing.assert_array_equal(infer(IMAGES), IMAGES / 2)
    with pytest.raises(SystemExit, match=r"^error: .*net.keras: its input is \(196,\), the data"):
        load_network("net", (28, 28, 1), (196,))
    with pytest.raises(SystemExit, match=r"^error: .*net.keras: its output is \(196,\), the data"):
        load_network("net", (14, 14, 1), (10,))
