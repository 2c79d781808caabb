"""Any layer may change: stages train other networks on other images, and save them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import train_ae
import train_cnn
from common import networks
from common.runtime import keras

layers = keras.layers


def residual(shape, classes, dropout=0.0):
    """Functional, residual, separable, normalised, pooled, with a network inside."""
    inputs = keras.Input(shape)
    first = layers.SeparableConv2D(4, 3, padding="same", activation="relu")(inputs)
    # A bias before a normalisation has no gradient, and Adam magnifies its rounding errors.
    convolution = layers.Conv2D(4, 3, padding="same", use_bias=False)
    block = keras.Sequential([convolution, layers.BatchNormalization(), layers.ReLU()])
    joined = layers.AveragePooling2D(2)(layers.Add()([first, block(first)]))
    hidden = layers.Dropout(dropout)(layers.Flatten()(joined))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(hidden))


def autoencoder_of_images(shape):
    smaller = layers.Conv2D(4, 3, 2, "same", activation="relu")
    larger = layers.Conv2DTranspose(1, 3, 2, "same", activation="sigmoid")
    return keras.Sequential([keras.Input(shape), smaller, larger])


def draw_digits(count, side, classes):
    """Draw random images with something to learn, a bright row for each class; give labels too."""
    labels = np.arange(count) % classes
    images = np.random.default_rng(0).random((count, side, side, 1), np.float32) / 2
    images[np.arange(count), labels] += 0.5
    return images, np.eye(classes, dtype=np.float32)[labels]


@pytest.fixture
def data(tensorflow, tmp_path, monkeypatch):
    """Write forty images of 14 × 14 pixels, of five classes."""
    monkeypatch.chdir(tmp_path)
    for name in "params.yaml", "versions.txt":
        Path(name).write_bytes((ROOT / name).read_bytes())
    images, labels = draw_digits(40, 14, 5)
    for split in "train", "validation", "test":
        folder = Path("data/processed", split)
        folder.mkdir(parents=True)
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", labels)
    return images, labels


def run(stage, params, **changes) -> dict[str, float]:
    """Run a stage with its parameters, but for an epoch of two steps; return its metrics."""
    stage.main(params.read().model_copy(update={"batch_size": 20, "epochs": 1, **changes}))
    return json.loads(Path(f"metrics/{stage.__name__}.json").read_text(encoding="utf-8"))


def test_another_classifier_is_trained_saved_and_tested(data, monkeypatch):
    monkeypatch.setattr(train_cnn, "build", residual)
    metrics = run(train_cnn, train_cnn.CnnParams)
    images, labels = data
    model = networks.load("cnn")
    outputs = model(images).numpy()
    answers = outputs.argmax(axis=1)
    assert metrics["test_accuracy"] == pytest.approx((answers == labels.argmax(axis=1)).mean())
    loss = float(model.compute_loss(y=labels, y_pred=outputs))
    assert metrics["test_loss"] == pytest.approx(loss, rel=1e-5)
    predictions = pd.read_csv("plots/train_cnn/predictions.csv")
    assert predictions.predicted.tolist() == answers.tolist()


@pytest.mark.parametrize("drawn", ["once", "every_epoch"])
def test_autoencoder_may_take_and_give_images(data, monkeypatch, drawn):
    monkeypatch.setattr(train_ae, "build", autoencoder_of_images)
    run(train_ae, train_ae.AutoencoderParams, noise_drawn=drawn)
    assert networks.load("autoencoder").output_shape == (None, 14, 14, 1)
