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


@pytest.fixture
def images() -> np.ndarray:
    """Make thirty smooth images of 14 × 14, in [0, 1]."""
    random = np.random.default_rng(1).random((30, 14, 14, 1), np.float32)
    return random.cumsum(axis=2).astype(np.float32) / 14


def test_ssim_is_tensorflows_and_psnr_follows_from_the_squared_error(tensorflow, images):
    noisy = salt_and_pepper(images, 0.3, 1)
    expected = tensorflow.image.ssim(noisy, images, max_val=1.0)
    np.testing.assert_allclose(ssim(noisy[..., 0], images[..., 0]), expected, atol=1e-5)
    closeness = eval_noise.compare_images(images + np.float32(0.1), images)
    assert closeness["psnr"] == pytest.approx(20, abs=1e-3)
    assert eval_noise.compare_images(images, images) == {"ssim": 1, "psnr": np.inf}


def test_every_draw_of_every_kind_is_measured(tensorflow, images):
    """Five classes, 14 × 14 pixels; the classifier says 4 of bright images, 1 of others."""
    labels = np.eye(5, dtype=np.float32)[[4, 1, 2] * 10]

    def classify(shown):
        return np.eye(5)[np.where(shown.mean((1, 2, 3)) > 0.5, 4, 1)]

    tables, pixels = measure(PARAMS, images, labels, classify, lambda noisy: 1 - noisy)
    rates = tables["rates"]
    draws = 1 + 2 + 2  # of the three levels
    assert len(rates) == draws * 3 * 5
    for _, rows in rates.groupby(CONTEXT):
        assert rows.images.tolist() == [0, 10, 10, 0, 10]
        assert rows.answered.sum() == 30
    answers = classify(images).argmax(axis=1)
    clean = rates[(rates.noise_level == 0) & (rates.kind == "noisy")]
    assert clean.answered.tolist() == np.bincount(answers, minlength=5).tolist()
    right = answers[answers == labels.argmax(axis=1)]
    assert clean.recognised.tolist() == np.bincount(right, minlength=5).tolist()

    assert tables["examples"].image.tolist() == [2, 0] * 3 * 3
    assert tables["examples"].actual.tolist() == [2, 4] * 3 * 3
    assert pixels.shape == (3, 4, 2, 14, 14, 1)
    original, noisy, filtered, denoised = pixels[1]
    np.testing.assert_array_equal(original, images[[2, 0]])
    expected = salt_and_pepper(images, 0.4, derive_seed(5, 0.4, 0))
    np.testing.assert_array_equal(noisy, expected[[2, 0]])
    corner = np.median(np.pad(expected[2, :2, :2, 0], [(1, 0), (1, 0)]))
    assert filtered[0, 0, 0, 0] == corner, "with black outside"
    np.testing.assert_array_equal(denoised, 1 - noisy)
    reconstruction = tables["reconstruction"].set_index(CONTEXT)
    assert len(reconstruction) == draws * 3
    closeness = eval_noise.compare_images(expected, images)
    assert reconstruction.loc[0.4, 0, "noisy"].to_dict() == pytest.approx(closeness)


def test_network_takes_images_in_its_own_shape_or_is_refused(
    tensorflow, images, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(eval_noise, "BATCH", 20)
    model = keras.Sequential([keras.Input((196,)), keras.layers.Rescaling(0.5)])
    model.compile("sgd", "mse")
    networks.save(model, "net")
    infer = load_network("net", (14, 14, 1), (14, 14, 1))
    np.testing.assert_array_equal(infer(images), images / 2)
    with pytest.raises(SystemExit, match=r"^error: .*net.keras: its input is \(196,\), the data"):
        load_network("net", (28, 28, 1), (196,))
    with pytest.raises(SystemExit, match=r"^error: .*net.keras: its output is \(196,\), the data"):
        load_network("net", (14, 14, 1), (10,))
