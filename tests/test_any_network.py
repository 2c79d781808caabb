"""Any layer may change: stages train other networks on other images, and save them.

Each network is a change that a reader may make to a `build` function, mixed with others.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import train_ae
import train_cnn
import train_mlp
from common import networks
from common.runtime import keras

layers = keras.layers


def cnn_wide(shape, classes, dropout):
    """5 × 5 kernels, padding, strides, normalised, a large pool, pooled globally; renamed."""
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(4, 5, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("gelu"),
            layers.SpatialDropout2D(dropout),
            layers.Conv2D(4, 3, strides=2, activation="tanh"),
            layers.MaxPooling2D(3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation="softmax"),
        ],
        name="cnn_wide",
    )


def cnn_residual(shape, classes, dropout):
    """Functional, residual, separable, with a network inside."""
    inputs = keras.Input(shape)
    first = layers.SeparableConv2D(4, 3, padding="same", activation="relu")(inputs)
    block = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.ReLU()])
    joined = layers.AveragePooling2D(2)(layers.Add()([first, block(first)]))
    hidden = layers.Dense(8, activation="gelu")(layers.Flatten()(joined))
    outputs = layers.Dense(classes, activation="softmax")(layers.Dropout(dropout)(hidden))
    return keras.Model(inputs, outputs)


def mlp_deep(shape, classes):
    """Three hidden layers, normalised, with dropout."""
    hidden = [layers.Dense(width, activation="tanh") for width in (16, 12, 8)]
    extra = [layers.LayerNormalization(), layers.Dropout(0.2)]
    last = layers.Dense(classes, activation="softmax", use_bias=False)
    return keras.Sequential([keras.Input(shape), layers.Flatten(), *hidden, *extra, last])


def autoencoder_of_images(shape):
    """Convolutional, with images in and out."""
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(4, 3, padding="same", strides=2, activation="relu"),
            layers.Conv2DTranspose(4, 3, padding="same", strides=2, activation="relu"),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )


def autoencoder_flat_to_images(shape):
    """A code of 32 numbers; rows of pixels in, images out."""
    size = shape[0] * shape[1]
    return keras.Sequential(
        [
            keras.Input((size,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(size, activation="sigmoid"),
            layers.Reshape(shape),
        ]
    )


DIGITS, SMALL = (28, 10), (14, 5)  # side, classes
COUNT = 40
# Stage, its network, the optimizer and the loss in the place of its own (None leaves that), and
# the images.
CHANGES = [
    (train_mlp, mlp_deep, "AdamW", "MeanSquaredError", SMALL),
    (train_cnn, cnn_wide, "Adam", None, DIGITS),
    (train_cnn, cnn_residual, None, "CategoricalFocalCrossentropy", SMALL),
    (train_ae, autoencoder_of_images, None, "MeanSquaredError", DIGITS),
    (train_ae, autoencoder_flat_to_images, "AdamW", None, SMALL),
]
# The parameters of a stage, and what it calls its network.
STAGES = {
    train_mlp: (train_mlp.MlpParams, "mlp"),
    train_cnn: (train_cnn.CnnParams, "cnn"),
    train_ae: (train_ae.AutoencoderParams, "autoencoder"),
}


def prepare_study(side: int, classes: int) -> None:
    """Write small arrays, random but for a bright row for each class, and params.yaml."""
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


def read_params(stage, **changes):
    """Return the stage's parameters as committed, but for steps of 20 images, and changes."""
    params = STAGES[stage][0].read(stage.__name__, "threads")
    return params.model_copy(update={"batch_size": 20} | changes)


@pytest.mark.parametrize(("stage", "build", "optimizer", "loss", "size"), CHANGES)
def test_changed_network_is_trained_and_saved(
    tensorflow, tmp_path, monkeypatch, stage, build, optimizer, loss, size
):
    side, classes = size
    monkeypatch.chdir(tmp_path)
    prepare_study(side, classes)
    monkeypatch.setattr(stage, "build", build)
    own_optimizer = "Adam" if stage is train_ae else "SGD"
    if optimizer:
        other = getattr(keras.optimizers, optimizer)
        monkeypatch.setattr(keras.optimizers, own_optimizer, lambda rate, *_, **__: other(rate))
    own_loss = "BinaryCrossentropy" if stage is train_ae else "CategoricalCrossentropy"
    if loss:
        monkeypatch.setattr(keras.losses, own_loss, getattr(keras.losses, loss))
    stage.main(read_params(stage, epochs=1))

    history = pd.read_csv(f"plots/{stage.__name__}/history.csv")
    assert len(history) == 1
    assert np.isfinite(history.to_numpy()).all()
    metrics = json.loads(Path(f"metrics/{stage.__name__}.json").read_text())
    assert np.isfinite([*metrics.values()]).all()
    _, name = STAGES[stage]
    trained = json.loads(Path(f"models/{name}.json").read_text())
    assert trained == {"loss": loss or own_loss, "optimizer": optimizer or own_optimizer}
    model = networks.load(name)
    pixels = np.load("data/processed/test/images.npy").reshape(-1, *model.input_shape[1:])
    outputs = model(pixels).numpy()
    count = side**2 if stage is train_ae else classes
    assert outputs.reshape(COUNT, -1).shape == (COUNT, count)
    assert 0 <= outputs.min() <= outputs.max() <= 1
    if stage is train_cnn:
        predictions = pd.read_csv("plots/train_cnn/predictions.csv")
        assert predictions.predicted.tolist() == outputs.argmax(axis=1).tolist()


def test_images_that_are_too_small_are_explained(tensorflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare_study(14, 10)
    with pytest.raises(SystemExit, match=r"layer convolution_3 of cnn .* too small for so many"):
        train_cnn.main(read_params(train_cnn))


@pytest.mark.parametrize("stage", STAGES)
def test_training_improves_and_repeats_its_bytes(tensorflow, tmp_path, monkeypatch, stage):
    """For whatever networks the stages have, on images of another size and of fewer classes."""
    monkeypatch.chdir(tmp_path)
    prepare_study(20, 5)
    keras.utils.clear_session()
    params = read_params(stage, epochs=8)
    stage.main(params)
    loss = pd.read_csv(f"plots/{stage.__name__}/history.csv").loss
    assert loss.iloc[-1] < loss.iloc[0]
    [saved] = Path("models").glob("*.keras")
    before = saved.read_bytes()
    keras.utils.clear_session()  # which counts the layers without a name; a stage starts anew
    stage.main(params)
    assert saved.read_bytes() == before
