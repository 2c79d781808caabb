"""What eval_noise measures is right, and it refuses other networks."""

import json

import numpy as np
import pandas as pd
import pytest

import train_ae
from common import models
from common.noise import salt_and_pepper
from eval_noise import count_recognised, load_network, measure_similarity, measure_ssim, summarise


def test_images_of_each_digit_are_counted():
    counts = count_recognised(np.array([0, 0, 0, 1, 1, 9]), np.array([0, 0, 5, 1, 1, 8]))
    assert counts["images"].tolist() == [3, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert counts["recognised"].tolist() == [2, 2, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("noise_level", [0.0, 0.3, 1.0])
def test_structural_similarity_is_that_of_tensorflow(tensorflow, noise_level):
    images = np.random.default_rng(0).random((20, 28, 28), np.float32)
    noisy = salt_and_pepper(images, noise_level, seed=1)
    expected = tensorflow.image.ssim(noisy[..., None], images[..., None], max_val=1.0)
    np.testing.assert_allclose(measure_ssim(noisy, images), expected, atol=2e-5)


def test_similarity_of_identical_images_and_of_a_known_error():
    images = np.full((4, 28, 28, 1), 0.5, np.float32)
    assert measure_similarity(images, images) == {"ssim": pytest.approx(1), "psnr": np.inf}
    assert measure_similarity(images + 0.1, images)["psnr"] == pytest.approx(20, abs=1e-4)


def test_summary_counts_every_image_once():
    rates = pd.DataFrame({"classifier": "cnn", "noise_level": 0.5, "images": [10, 30, 40]})
    rates = rates.assign(kind=["noisy", "noisy", "denoised"], recognised=[10, 0, 30])
    assert summarise(rates) == {"cnn": {"level_0.5": {"noisy": 0.25, "denoised": 0.75}}}


def test_tables_and_metrics_agree(finished_study):
    folder = finished_study.folder
    rates = pd.read_csv(folder / "plots/eval_noise/rates.csv")
    assert len(rates) == 2 * 3 * 2 * 2 * 10  # classifiers, levels, draws, kinds, digits
    assert set(rates.groupby(["classifier", "noise_level", "draw", "kind"]).images.sum()) == {300}
    chosen = rates[(rates.classifier == "mlp") & (rates.noise_level == 0.5)]
    noisy = chosen[chosen.kind == "noisy"]
    metrics = json.loads((folder / "metrics/eval_noise.json").read_text())
    assert metrics["mlp"]["level_0.5"]["noisy"] == pytest.approx(
        noisy.recognised.sum() / noisy.images.sum(), abs=1e-6
    )
    pixels = np.load(folder / "plots/eval_noise/pixels.npy")
    assert pixels.shape == (3, 3, 4, 28, 28)
    original, noisy, _ = pixels[0]  # level 0
    np.testing.assert_array_equal(original, noisy)


@pytest.mark.parametrize(("name", "shape"), [("cnn", (784,)), ("autoencoder", (28, 28, 1))])
def test_other_networks_are_refused(tensorflow, tmp_path, monkeypatch, name, shape):
    monkeypatch.chdir(tmp_path)
    models.save(train_ae.build(), f"models/{name}.keras")
    with pytest.raises(SystemExit, match=rf"{name}.keras: the network autoencoder, from \(784,\)"):
        load_network(name, shape, (784,))


def test_perceptron_in_place_of_the_other_classifier_is_refused(study):
    (study.folder / "models/cnn.keras").unlink()
    (study.folder / "models/cnn.keras").symlink_to("mlp.keras")
    done = study.run(*study.command("eval_noise"), check=False)
    assert done.stderr.startswith("error: models/cnn.keras: the network mlp, from (28, 28, 1) to ")
