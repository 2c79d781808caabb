"""Any layer may change: stages train other networks on other images, and save them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import train_ae
import train_cnn
from common import explain_failure, networks
from common.runtime import keras

COUNT = 40
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
    """Convolutional, with images in and out."""
    smaller = layers.Conv2D(4, 3, 2, "same", activation="relu")
    larger = layers.Conv2DTranspose(1, 3, 2, "same", activation="sigmoid")
    return keras.Sequential([keras.Input(shape), smaller, larger])


@pytest.fixture
def data(tensorflow, tmp_path, monkeypatch):
    """Write random images of 14 × 14 pixels, a bright row for each of five classes."""
    monkeypatch.chdir(tmp_path)
    for name in "params.yaml", "versions.txt":
        Path(name).write_bytes((ROOT / name).read_bytes())
    classes = np.arange(COUNT) % 5
    images = np.random.default_rng(0).random((COUNT, 14, 14, 1), np.float32) / 2
    images[np.arange(COUNT), classes] += 0.5
    labels = np.eye(5, dtype=np.float32)[classes]
    for split in "train", "validation", "test":
        folder = Path("data/processed", split)
        folder.mkdir(parents=True)
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", labels)
    return images, labels


def run(stage, params) -> dict[str, float]:
    """Run a stage with its parameters, but for an epoch of two steps; return its metrics."""
    stage.main(params.read().model_copy(update={"batch_size": 20, "epochs": 1}))
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


def test_autoencoder_may_take_and_give_images(data, monkeypatch):
    monkeypatch.setattr(train_ae, "build", autoencoder_of_images)
    metrics = run(train_ae, train_ae.AutoencoderParams)
    history = pd.read_csv("plots/train_ae/history.csv")
    assert metrics["validation_loss"] == pytest.approx(history.validation_loss[0], rel=1e-5)
    assert networks.load("autoencoder").output_shape == (None, 14, 14, 1)


def test_autoencoder_without_an_input_is_refused_in_one_line(data, monkeypatch):
    monkeypatch.setattr(train_ae, "build", lambda shape: keras.Sequential([layers.Flatten()]))
    with pytest.raises(SystemExit, match=r"^error: network .*keras.Input"):
        run(train_ae, train_ae.AutoencoderParams)


def test_images_that_are_too_small_are_explained(tensorflow, capsys):
    with pytest.raises(ValueError) as problem:
        keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(2, 5), layers.Conv2D(2, 5)])
    explain_failure(problem.type, problem.value, None)
    assert capsys.readouterr().err.count("too small for so many layers") == 1
