"""What eval_noise measures is right, for any network that fits the images."""

import numpy as np
import pandas as pd
import pytest

import eval_noise
from common.noise import salt_and_pepper
from common.runtime import derive_seed, keras
from eval_noise import EvalParams, filter_median, load_network, measure, ssim

PARAMS = EvalParams(
    noise_levels=[0.0, 0.4, 1.0],
    draws=2,
    examples=[2, 0],
    classifiers={"bright": "Bright", "dark": "Dark"},
    seed=5,
    threads=1,
)


@pytest.fixture
def images(rng) -> np.ndarray:
    """Thirty smooth images of 14 × 14, in [0, 1]."""
    return rng.random((30, 14, 14, 1), np.float32).cumsum(axis=2).astype(np.float32) / 14


@pytest.fixture
def rng():
    return np.random.default_rng(1)


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


def test_every_draw_of_every_kind_is_measured(images, capsys):
    """Five classes, 14 × 14 pixels; one classifier says 4 of bright images, the other always 1."""
    labels = np.eye(5, dtype=np.float32)[[4, 1, 2] * 10]
    classifiers = {
        "bright": lambda shown: np.eye(5)[np.where(shown.mean((1, 2, 3)) > 0.5, 4, 0)],
        "dark": lambda shown: np.eye(5)[np.ones(len(shown), int)],
    }
    tables, pixels = measure(PARAMS, images, labels, classifiers, lambda noisy: 1 - noisy)
    rates = tables["rates"]
    names = ["classifier", "noise_level", "draw", "kind", "label", "images", "recognised"]
    assert rates.columns.tolist() == names
    # Classifiers, draws of three levels, kinds, labels.
    assert len(rates) == 2 * (1 + 2 + 2) * 3 * 5
    assert set(rates.groupby(["classifier", "noise_level", "draw", "kind"]).images.sum()) == {30}
    dark = rates[rates.classifier == "dark"].groupby("label").recognised.unique()
    assert dark.tolist() == [[0], [10], [0], [0], [0]]
    names = ["noise_level", "draw", "kind", "ssim", "psnr"]
    assert tables["reconstruction"].columns.tolist() == names
    assert len(tables["reconstruction"]) == (1 + 2 + 2) * 3
    assert tables["examples"].image.tolist() == [2, 0] * 2 * 3 * 3
    assert pixels.shape == (3, 4, 2, 14, 14, 1)
    original, noisy, filtered, denoised = pixels[1]
    np.testing.assert_array_equal(original, images[[2, 0]])
    expected = salt_and_pepper(images, 0.4, derive_seed(5, 0.4, 0))
    np.testing.assert_array_equal(noisy, expected[[2, 0]])
    np.testing.assert_array_equal(filtered, filter_median(expected)[[2, 0]])
    np.testing.assert_array_equal(denoised, 1 - noisy)
    assert capsys.readouterr().out.endswith("noise level 1.0: draw 2 of 2 measured\n")


def save_network(*layers, inputs):
    keras.Sequential([keras.Input(inputs), *layers]).save("models/net.keras")


@pytest.fixture
def models(tensorflow, tmp_path, monkeypatch):
    """An empty folder models/ of the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()


@pytest.mark.parametrize("inputs", [(14, 14, 1), (196,)])
def test_network_takes_images_in_its_own_shape(models, images, monkeypatch, inputs):
    monkeypatch.setattr(eval_noise, "BATCH", 20)
    save_network(keras.layers.Rescaling(0.5), inputs=inputs)
    infer = load_network("net", (14, 14, 1), (14, 14, 1))
    np.testing.assert_array_equal(infer(images), images / 2)


def test_network_of_other_size_is_refused(models):
    save_network(keras.layers.Dense(5), inputs=(196,))
    for shape, outputs, said in [
        ((28, 28, 1), (5,), "its input is (196,), the data are (28, 28, 1)"),
        ((14, 14, 1), (10,), "its output is (5,), the data are (10,)"),
    ]:
        with pytest.raises(SystemExit) as refusal:
            load_network("net", shape, outputs)
        assert str(refusal.value).startswith(f"error: models/net.keras: {said}; ")


def test_noise_of_a_study_has_the_expected_error(finished_study):
    folder = finished_study.folder
    rates = pd.read_csv(folder / "plots/eval_noise/rates.csv")
    assert set(rates.groupby(["classifier", "noise_level", "draw", "kind"]).images.sum()) == {300}
    assert np.load(folder / "plots/eval_noise/pixels.npy").shape == (3, 4, 4, 28, 28)
    table = pd.read_csv(folder / "plots/eval_noise/reconstruction.csv")
    images = np.load(folder / "data/processed/test/images.npy")
    # At level 1 every pixel is black or white with equal chance: the expected squared error.
    error = np.mean((np.square(images) + np.square(1 - images)) / 2)
    noise = table[(table.noise_level == 1) & (table.kind == "noisy")]
    assert noise.psnr.tolist() == pytest.approx([-10 * np.log10(error)] * 2, abs=0.05)
    assert noise.ssim.tolist() == pytest.approx([0, 0], abs=0.05)
