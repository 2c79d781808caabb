"""Any layer may change: stages train other networks on other images, and save them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import train_ae
import train_cnn
import train_mlp
from check_params import find_classes
from common import explain_failure, networks, training
from common.runtime import keras

layers = keras.layers


def mlp_deep(shape, classes):
    """Normalised, with dropout; without a bias at the end."""
    hidden = [layers.Dense(8, "tanh"), layers.LayerNormalization(), layers.Dropout(0.2)]
    last = layers.Dense(classes, activation="softmax", use_bias=False)
    return keras.Sequential([keras.Input(shape), layers.Flatten(), *hidden, last])


def cnn_residual(shape, classes, dropout):
    """Functional, residual, separable, pooled, with a network inside."""
    inputs = keras.Input(shape)
    first = layers.SeparableConv2D(4, 3, padding="same", activation="relu")(inputs)
    convolution = layers.Conv2D(4, 3, padding="same")
    block = keras.Sequential([convolution, layers.BatchNormalization(), layers.ReLU()])
    joined = layers.AveragePooling2D(2)(layers.Add()([first, block(first)]))
    hidden = layers.Dense(8, activation="gelu")(layers.Flatten()(joined))
    outputs = layers.Dense(classes, activation="softmax")(layers.Dropout(dropout)(hidden))
    return keras.Model(inputs, outputs)


def autoencoder_of_images(shape):
    """Convolutional, with images in and out."""
    smaller = layers.Conv2D(4, 3, 2, "same", activation="relu")
    larger = layers.Conv2DTranspose(1, 3, 2, "same", activation="sigmoid")
    return keras.Sequential([keras.Input(shape), smaller, larger])


COUNT = 40


@pytest.fixture
def prepare(tensorflow, tmp_path, monkeypatch):
    """Write small arrays, random but for a bright row for each class, and params.yaml."""
    monkeypatch.chdir(tmp_path)

    def write(side: int, classes: int) -> None:
        random = np.random.default_rng(0)
        for split in "train", "validation", "test":
            folder = Path("data/processed", split)
            folder.mkdir(parents=True)
            labels = np.arange(COUNT) % classes
            pixels = random.random((COUNT, side, side, 1), np.float32) / 2
            pixels[np.arange(COUNT), labels] += 0.5
            np.save(folder / "images.npy", pixels)
            np.save(folder / "labels.npy", np.eye(classes, dtype=np.float32)[labels])
        for name in "params.yaml", "versions.txt":
            Path(name).write_bytes((ROOT / name).read_bytes())

    return write


def run(stage) -> None:
    """Run a stage with its parameters as committed, but for an epoch of two steps."""
    [params] = {found for found in find_classes() if found.__module__ == stage.__name__}
    stage.main(params.read().model_copy(update={"batch_size": 20, "epochs": 1}))


@pytest.mark.parametrize(
    ("stage", "build", "side", "classes"),
    [
        (train_mlp, mlp_deep, 14, 5),
        (train_cnn, cnn_residual, 14, 5),
        (train_ae, autoencoder_of_images, 28, 10),
    ],
)
def test_changed_network_is_trained_and_saved(prepare, monkeypatch, stage, build, side, classes):
    prepare(side, classes)
    monkeypatch.setattr(stage, "build", build)
    run(stage)
    history = pd.read_csv(f"plots/{stage.__name__}/history.csv")
    assert len(history) == 1
    assert np.isfinite(history.to_numpy()).all()
    metrics = json.loads(Path(f"metrics/{stage.__name__}.json").read_text())
    [path] = Path("models").iterdir()
    model = networks.load(path.stem)
    pixels = np.load("data/processed/test/images.npy").reshape(-1, *model.input_shape[1:])
    labels = np.load("data/processed/test/labels.npy")
    outputs = model(pixels).numpy()
    if stage is train_ae:
        assert outputs.shape == pixels.shape
        assert metrics["validation_loss"] == pytest.approx(history.validation_loss[0], rel=1e-5)
        return
    right = outputs.argmax(axis=1) == labels.argmax(axis=1)
    assert metrics["test_accuracy"] == pytest.approx(right.mean())
    loss = float(model.compute_loss(y=labels, y_pred=outputs))
    assert metrics["test_loss"] == pytest.approx(loss, rel=1e-5)
    if stage is train_cnn:
        predictions = pd.read_csv("plots/train_cnn/predictions.csv")
        assert predictions.predicted.tolist() == outputs.argmax(axis=1).tolist()


def test_images_that_are_too_small_are_explained(tensorflow, capsys):
    empty = [layers.MaxPooling2D(7), layers.Conv2D(2, 3), layers.Flatten()]
    with pytest.raises(SystemExit, match="too small for so many layers"):
        training.refuse_unfit(keras.Sequential([keras.Input((14, 14, 1)), *empty]))
    with pytest.raises(ValueError) as problem:
        keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(2, 5), layers.Conv2D(2, 5)])
    explain_failure(problem.type, problem.value, None)
    assert capsys.readouterr().err.count("too small for so many layers") == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda shape: keras.Sequential([layers.Flatten(), layers.Dense(784)]),
        lambda shape: keras.Model(inputs := keras.Input(shape), [layers.ReLU()(inputs)] * 2),
    ],
)
def test_autoencoder_that_cannot_be_trained_is_refused_in_one_line(prepare, monkeypatch, build):
    prepare(28, 10)
    monkeypatch.setattr(train_ae, "build", build)
    with pytest.raises(SystemExit, match=r"^error: network .*(keras.Input|2 outputs)"):
        run(train_ae)
