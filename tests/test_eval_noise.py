"""What eval_noise measures is right, and it refuses other networks."""

import json

import numpy as np
import pandas as pd
import pytest

import train_ae
from common import models
from eval_noise import count_recognised, load_network, summarise


def test_images_of_each_digit_are_counted():
    counts = count_recognised(np.array([0, 0, 0, 1, 1, 9]), np.array([0, 0, 5, 1, 1, 8]))
    assert counts["images"].tolist() == [3, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert counts["recognised"].tolist() == [2, 2, 0, 0, 0, 0, 0, 0, 0, 0]


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


def test_likeness_is_that_of_all_test_images(finished_study):
    table = pd.read_csv(finished_study.folder / "plots/eval_noise/reconstruction.csv")
    noisy = table[table.kind == "noisy"]
    assert (noisy.ssim.iloc[0], noisy.psnr.iloc[0]) == (1, np.inf), "level 0: nothing differs"
    images = np.load(finished_study.folder / "data/processed/test/images.npy")
    # At level 1 every pixel is black or white with equal chance: the expected squared error.
    error = np.mean((np.square(images) + np.square(1 - images)) / 2)
    assert noisy.psnr.iloc[2] == pytest.approx(-10 * np.log10(error), abs=0.05)
    assert noisy.ssim.iloc[2] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("name", "shape"), [("cnn", (784,)), ("autoencoder", (28, 28, 1))])
def test_other_networks_are_refused(tensorflow, tmp_path, monkeypatch, name, shape):
    """A network of another name, and one of another shape."""
    monkeypatch.chdir(tmp_path)
    models.save(train_ae.build(), f"models/{name}.keras")
    with pytest.raises(SystemExit, match=rf"{name}.keras: the network autoencoder, from \(784,\)"):
        load_network(name, shape, (784,))
