"""What eval_noise measures is right, for any network that fits the images."""

import numpy as np
import pandas as pd
import pytest

import eval_noise
from common import networks
from common.noise import salt_and_pepper
from common.runtime import derive_seed, keras
from eval_noise import EvalParams, filter_median, load_network, measure, ssim

PARAMS = EvalParams(
    noise_levels=[0.0, 0.4, 1.0], draws=2, examples=[2, 0], classifier="cnn", seed=5, threads=1
)
CONTEXT = ["noise_level", "draw", "kind"]


@pytest.fixture
def images() -> np.ndarray:
    """Thirty smooth images of 14 × 14, in [0, 1]."""
    random = np.random.default_rng(1).random((30, 14, 14, 1), np.float32)
    return random.cumsum(axis=2).astype(np.float32) / 14


def test_ssim_is_tensorflows_and_psnr_follows_from_the_squared_error(tensorflow, images):
    noisy = salt_and_pepper(images, 0.3, 1)
    expected = tensorflow.image.ssim(noisy, images, max_val=1.0)
    np.testing.assert_allclose(ssim(noisy[..., 0], images[..., 0]), expected, atol=1e-5)
    closeness = eval_noise.compare_images(images + np.float32(0.1), images)
    assert closeness["psnr"] == pytest.approx(20, abs=1e-3)
    assert eval_noise.compare_images(images, images) == {"ssim": 1, "psnr": np.inf}


def test_filter_takes_medians_with_black_outside(images):
    filtered = filter_median(images)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for row, column in [(0, 0), (5, 13), (7, 7)]:
        window = padded[:, row : row + 3, column : column + 3]
        np.testing.assert_array_equal(filtered[:, row, column, 0], np.median(window, (1, 2, 3)))


def test_every_draw_of_every_kind_is_measured(tensorflow, images, capsys):
    """Five classes, 14 × 14 pixels; the classifier says 4 of bright images, 1 of others."""
    labels = np.eye(5, dtype=np.float32)[[4, 1, 2] * 10]

    def classify(shown):
        return np.eye(5)[np.where(shown.mean((1, 2, 3)) > 0.5, 4, 1)]

    tables, pixels = measure(PARAMS, images, labels, classify, lambda noisy: 1 - noisy)
    rates = tables["rates"]
    assert rates.columns.tolist() == [*CONTEXT, "label", "images", "recognised", "answered"]
    draws = 1 + 2 + 2  # of the three levels
    assert len(rates) == draws * 3 * 5
    for _, rows in rates.groupby(CONTEXT):
        assert rows.images.tolist() == [0, 10, 10, 0, 10]
        assert rows.answered.sum() == 30
        assert (rows.recognised <= rows[["images", "answered"]].min(axis=1)).all()
    answers = classify(images).argmax(axis=1)
    clean = rates[(rates.noise_level == 0) & (rates.kind == "noisy")]
    assert clean.answered.tolist() == np.bincount(answers, minlength=5).tolist()
    right = answers[answers == labels.argmax(axis=1)]
    assert clean.recognised.tolist() == np.bincount(right, minlength=5).tolist()

    assert tables["reconstruction"].columns.tolist() == [*CONTEXT, "ssim", "psnr"]
    assert len(tables["reconstruction"]) == draws * 3
    shown = ["noise_level", "image", "kind", "actual", "predicted", "probability"]
    assert tables["examples"].columns.tolist() == shown
    assert tables["examples"].image.tolist() == [2, 0] * 3 * 3
    assert tables["examples"].actual.tolist() == [2, 4] * 3 * 3
    assert pixels.shape == (3, 4, 2, 14, 14, 1)
    original, noisy, filtered, denoised = pixels[1]
    np.testing.assert_array_equal(original, images[[2, 0]])
    expected = salt_and_pepper(images, 0.4, derive_seed(5, 0.4, 0))
    np.testing.assert_array_equal(noisy, expected[[2, 0]])
    np.testing.assert_array_equal(filtered, filter_median(expected)[[2, 0]])
    np.testing.assert_array_equal(denoised, 1 - noisy)
    assert capsys.readouterr().out.endswith("noise level 1.0: draw 2 of 2 measured\n")


@pytest.fixture
def save(tensorflow, tmp_path, monkeypatch):
    """Save a network of some layers as models/net.keras."""
    monkeypatch.chdir(tmp_path)

    def save(*layers, inputs):
        model = keras.Sequential([keras.Input(inputs), *layers])
        model.compile("sgd", "mse")
        networks.save(model, "net")

    return save


@pytest.mark.parametrize("inputs", [(14, 14, 1), (196,), (None, None, 1)])
def test_network_takes_images_in_its_own_shape(save, images, monkeypatch, inputs):
    monkeypatch.setattr(eval_noise, "BATCH", 20)
    save(keras.layers.Rescaling(0.5), inputs=inputs)
    infer = load_network("net", (14, 14, 1), (14, 14, 1))
    np.testing.assert_array_equal(infer(images), images / 2)


@pytest.mark.parametrize(
    ("shape", "outputs", "said"),
    [
        ((28, 28, 1), (5,), "its input is (196,), the data are (28, 28, 1)"),
        ((14, 14, 1), (10,), "its output is (5,), the data are (10,)"),
    ],
)
def test_network_of_other_size_is_refused(save, shape, outputs, said):
    save(keras.layers.Dense(5), inputs=(196,))
    with pytest.raises(SystemExit) as refusal:
        load_network("net", shape, outputs)
    assert str(refusal.value).startswith(f"error: models/net.keras: {said}; ")


def test_noise_of_a_study_has_the_expected_error(finished_study):
    folder = finished_study.folder / "plots/eval_noise"
    images = np.load(finished_study.folder / "data/processed/test/images.npy")
    rates = pd.read_csv(folder / "rates.csv")
    assert set(rates.groupby(CONTEXT).images.sum()) == {len(images)}
    params = finished_study.parameters["eval_noise"]
    shape = len(params["noise_levels"]), 4, len(params["examples"]), *images.shape[1:3]
    pixels = np.load(folder / "pixels.npy")
    assert (pixels.shape, pixels.dtype) == (shape, np.uint8)
    table = pd.read_csv(folder / "reconstruction.csv")
    # At level 1 every pixel is black or white with equal chance: the expected squared error.
    error = np.mean((np.square(images) + np.square(1 - images)) / 2)
    noise = table[(table.noise_level == 1) & (table.kind == "noisy")]
    assert len(noise) == params["draws"]
    np.testing.assert_allclose(noise.psnr, -10 * np.log10(error), atol=0.05)
    np.testing.assert_allclose(noise.ssim, 0, atol=0.05)
