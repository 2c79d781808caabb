"""The training loop does what plain `model.fit` does, and always the same."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import sweep_l2
import train_ae
import train_cnn
import train_mlp
from common.runtime import keras
from common.training import schedule_rate, train

COUNT, BATCH = 500, 64  # the last batch is smaller: 500 = 7 · 64 + 52


@pytest.fixture(scope="module")
def digits():
    """Images and one-hot labels with something to learn: a bright row for each class."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 10, COUNT)
    images = random.random((COUNT, 28, 28, 1), np.float32) * 0.5
    images[np.arange(COUNT), classes * 2] += 0.5
    return images, np.eye(10, dtype=np.float32)[classes]


# Network: how it is built, and its published number of parameters.
NETWORKS = {
    "mlp": (train_mlp.build, 55_050),
    "mlp, cosine": (train_mlp.build, 55_050),
    "mlp_500_300": (lambda: sweep_l2.build(0.001), 545_810),
    # Without dropout: the two loops would draw other masks.
    "cnn": (lambda: train_cnn.build(0.0), 93_322),
    "autoencoder": (train_ae.build, 226_416),
}


def make_schedule(schedule, learning_rate, epochs):
    recipe = {"schedule": schedule, "learning_rate": learning_rate, "epochs": epochs}
    return schedule_rate(SimpleNamespace(**recipe, batch_size=BATCH), COUNT)


def prepare(name, digits):
    """Return a network with fixed initial weights, its optimizer, loss and data."""
    keras.utils.set_random_seed(1)
    model = NETWORKS[name][0]()
    if name == "autoencoder":
        flat = digits[0].reshape(-1, 784)
        return model, keras.optimizers.Adam(), keras.losses.BinaryCrossentropy(), (flat, flat)
    optimizer = keras.optimizers.SGD(0.1)
    if name == "mlp, cosine":
        optimizer = keras.optimizers.SGD(make_schedule("cosine", 0.1, 2), 0.9, nesterov=True)
    return model, optimizer, keras.losses.CategoricalCrossentropy(), digits


def test_weight_decay_is_on_the_two_hidden_kernels(tensorflow):
    model = sweep_l2.build(0.25)
    kernels = [model.get_layer(name).kernel.numpy() for name in ("hidden_1", "hidden_2")]
    expected = 0.25 * sum(np.sum(kernel.astype(np.float64) ** 2) for kernel in kernels)
    assert sum(map(float, model.losses)) == pytest.approx(expected, rel=1e-5)


def test_encoder_and_decoder_work_on_their_own(tensorflow):
    model = train_ae.build()
    images = np.random.default_rng(0).random((3, 784), np.float32)
    code = model.get_layer("encoder")(images)
    assert code.shape == (3, 96)
    np.testing.assert_allclose(model.get_layer("decoder")(code), model(images), rtol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_agrees_with_fit_on_the_same_batches(tensorflow, digits, name):
    model, optimizer, loss, data = prepare(name, digits)
    assert model.count_params() == NETWORKS[name][1]
    # Evaluated in batches of 1000 and 200 images, of which each counts once.
    validation = tuple(np.concatenate([array, array, array[:200]]) for array in data)
    options = {"batch_size": BATCH, "epochs": 2, "seed": 3}
    history = train(model, optimizer, loss, data, validation, **options)

    plain, optimizer, loss, data = prepare(name, digits)
    plain.compile(optimizer, loss, metrics=["accuracy"] if name != "autoencoder" else [])
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0, "validation_data": validation}
    random, fitted = np.random.default_rng(3), []
    for _ in range(2):
        order = random.permutation(COUNT)
        fit = plain.fit(*[array[order] for array in data], **options)
        fitted.append({key: values[0] for key, values in fit.history.items()})
    expected = pd.DataFrame(fitted).rename(columns=lambda key: key.replace("val_", "validation_"))
    assert set(history) == {"epoch", *expected}
    pd.testing.assert_frame_equal(history[expected.columns], expected, rtol=2e-4)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_batch_larger_than_the_data_is_one_batch(tensorflow, digits):
    model, _, loss, data = prepare("mlp", digits)
    few = tuple(array[:30] for array in data)
    options = {"batch_size": 1000, "epochs": 1, "seed": 0}
    history = train(model, keras.optimizers.SGD(0.1), loss, few, few, **options)
    assert history.accuracy[0] == pytest.approx(round(history.accuracy[0] * 30) / 30, abs=1e-6)


def test_divergence_ends_in_its_epoch(tensorflow, digits, capsys):
    model, optimizer, loss, data = prepare("autoencoder", digits)
    broken = tuple(np.where(np.arange(COUNT)[:, None] == 7, np.nan, array) for array in data)
    with pytest.raises(SystemExit, match=r"no longer finite in epoch 1.*smaller learning_rate"):
        train(model, optimizer, loss, broken, data, batch_size=BATCH, epochs=3, seed=0)
    assert capsys.readouterr().out == ""


def test_cosine_falls_along_half_a_wave_to_zero_at_the_last_of_all_steps(tensorflow):
    steps = 3 * 8  # 500 images are 7 batches of 64 and a smaller one
    schedule = make_schedule("cosine", 0.3, 3)
    rates = [float(schedule(step)) for step in range(steps + 1)]
    expected = 0.15 * (1 + np.cos(np.pi * np.arange(steps + 1) / steps))
    np.testing.assert_allclose(rates, expected, atol=1e-7)
    assert make_schedule("constant", 0.3, 3) == 0.3


def test_augmentation_differs_in_every_step_and_follows_the_seed(tensorflow, digits):
    """The model is a bias of zero that learns nothing: its loss shows what it was given."""

    def losses(seed):
        model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(1, kernel_initializer="ones"))
        loss, data = keras.losses.MeanAbsoluteError(), (digits[0], np.zeros((COUNT, 1), np.float32))

        def scale(images, seed):
            return images * tensorflow.random.stateless_uniform((), seed)

        options = {"batch_size": COUNT, "epochs": 3, "seed": seed, "augment": scale}
        return train(model, keras.optimizers.SGD(1e-9), loss, data, data, **options)

    first = losses(1)
    assert first.loss.nunique() == 3
    assert first.validation_loss.nunique() == 1, "only what is trained on is changed"
    pd.testing.assert_frame_equal(first, losses(1))
    assert (first.loss != losses(2).loss).all()


def test_move_shifts_each_image_by_whole_pixels(tensorflow):
    images = np.random.default_rng(0).random((500, 28, 28, 1), np.float32)
    moved, again, other = (train_cnn.move(images, [1, seed], shift=1) for seed in (2, 2, 3))
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = [
        padded[:, row : row + 28, column : column + 28] for row in range(3) for column in range(3)
    ]
    places = np.array([(window == moved.numpy()).all(axis=(1, 2, 3)) for window in windows])
    assert (places.sum(axis=0) == 1).all()
    # Nine equally likely moves, five standard deviations of 500 draws.
    assert (np.abs(places.sum(axis=1) - 500 / 9) < 5 * np.sqrt(500 * 8 / 81)).all()
    np.testing.assert_array_equal(moved, again)
    assert (moved != other).numpy().any()
