"""The training loop does what plain `model.fit` does, and always the same."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import sweep_l2
import train_ae
import train_cnn
from common.runtime import keras
from common.training import evaluate, schedule_rate, train

COUNT, BATCH, SIDE = 200, 64, 12  # the last batch is smaller: 200 = 3 · 64 + 8
SHAPE = (SIDE, SIDE, 1)
METRICS = {"accuracy": keras.metrics.categorical_accuracy}
layers, optimizers, losses = keras.layers, keras.optimizers, keras.losses


@pytest.fixture(scope="module")
def digits():
    """Images and one-hot labels with something to learn: a bright row for each class."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 10, COUNT)
    images = random.random((COUNT, *SHAPE), np.float32) * 0.5
    images[np.arange(COUNT), classes] += 0.5
    return images, np.eye(10, dtype=np.float32)[classes]


def make_schedule(schedule, learning_rate, epochs):
    recipe = {"schedule": schedule, "learning_rate": learning_rate, "epochs": epochs}
    return schedule_rate(SimpleNamespace(**recipe, batch_size=BATCH), COUNT)


def build_residual():
    """Build a functional network with a network inside: normalised, with gelu, residual."""
    inputs = keras.Input(SHAPE)
    block = keras.Sequential(
        [
            # A bias before a normalisation has no gradient, and Adam magnifies its rounding errors.
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    )
    joined = layers.Add()([layers.Conv2D(4, 1)(inputs), block(inputs)])
    hidden = layers.Dense(16, activation="gelu")(layers.Flatten()(joined))
    outputs = layers.Dense(10, activation="softmax")(layers.LayerNormalization()(hidden))
    return keras.Model(inputs, outputs)


def build_normalised():
    hidden = [layers.Dense(16, use_bias=False), layers.BatchNormalization()]
    last = [layers.Activation("tanh"), layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input(SHAPE), layers.Flatten(), *hidden, *last])


SMOOTH = losses.CategoricalCrossentropy(label_smoothing=0.1)
# How a network is built, its optimizer and its loss.
TRAININGS = {
    "perceptron": (
        lambda: sweep_l2.build(SHAPE, 10, 0.001),
        lambda: optimizers.SGD(make_schedule("cosine", 0.1, 2), 0.9, nesterov=True),
        losses.CategoricalCrossentropy(),
    ),
    "residual": (build_residual, lambda: optimizers.AdamW(0.001, clipnorm=1.0), SMOOTH),
    "normalised": (
        build_normalised,
        lambda: optimizers.RMSprop(0.001, use_ema=True, ema_momentum=0.9),
        losses.MeanSquaredError(),
    ),
    "autoencoder": (
        lambda: train_ae.build(SHAPE),
        lambda: optimizers.Adam(loss_scale_factor=8.0),
        losses.BinaryCrossentropy(),
    ),
}


def prepare(name, digits):
    """Return a network with fixed initial weights, its optimizer, loss, metrics and data."""
    keras.utils.set_random_seed(1)
    build, make_optimizer, loss = TRAININGS[name]
    model, (images, labels) = build(), digits
    if name == "autoencoder":
        flat = images.reshape(COUNT, -1)
        return model, make_optimizer(), loss, {}, (flat, flat)
    return model, make_optimizer(), loss, METRICS, (images, labels)


def test_weight_decay_is_keras_s_on_the_two_hidden_kernels(tensorflow):
    model = sweep_l2.build(SHAPE, 10, 0.25)
    kernels = [model.get_layer(name).kernel for name in ("hidden_1", "hidden_2")]
    expected = sum(float(keras.regularizers.L2(0.25)(kernel)) for kernel in kernels)
    assert sum(map(float, model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", TRAININGS)
def test_agrees_with_fit_on_the_same_batches(tensorflow, digits, name):
    model, optimizer, loss, metrics, data = prepare(name, digits)
    # Evaluated in batches of 1000 and 40 images, of which each counts once.
    validation = tuple(np.concatenate([array] * 5 + [array[:40]]) for array in data)
    options = {"batch_size": BATCH, "epochs": 2, "seed": 3}
    history = train(model, optimizer, loss, metrics, data, validation, **options)

    plain, optimizer, loss, metrics, data = prepare(name, digits)
    # XLA and oneDNN differ in the last digits, which normalisation and Adam magnify.
    jit_compile = name != "residual"
    plain.compile(optimizer, loss, metrics=list(metrics), jit_compile=jit_compile)
    finalize, optimizer.finalize_variable_values = optimizer.finalize_variable_values, list
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0, "validation_data": validation}
    random, fitted = np.random.default_rng(3), []
    for epoch in range(2):
        if epoch == 1:
            optimizer.finalize_variable_values = finalize
        order = random.permutation(COUNT)
        fit = plain.fit(*[array[order] for array in data], **options)
        fitted.append({key: values[0] for key, values in fit.history.items()})
    expected = pd.DataFrame(fitted).rename(columns=lambda key: key.replace("val_", "validation_"))
    assert set(history) == {"epoch", *expected}
    pd.testing.assert_frame_equal(history[expected.columns], expected, rtol=1e-5)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_function_run_eagerly_can_print_and_gives_the_same_numbers(tensorflow, digits):
    """What the docstring of training.py tells a student to do."""
    printed = []

    def look(images, seed):
        printed.append(np.asarray(images).shape)  # a tensor with values
        return images

    def run(**options):
        model, optimizer, loss, metrics, data = prepare("perceptron", digits)
        options |= {"batch_size": BATCH, "epochs": 1, "seed": 3}
        return train(model, optimizer, loss, metrics, data, data, **options)

    compiled = run()
    tensorflow.config.run_functions_eagerly(True)
    try:
        pd.testing.assert_frame_equal(run(augment=look), compiled, rtol=1e-5)
    finally:
        tensorflow.config.run_functions_eagerly(False)
    assert printed == [(64, *SHAPE)] * 3 + [(8, *SHAPE)]


@pytest.mark.parametrize("name", ["perceptron", "residual"])
def test_xla_compiles_what_has_no_convolutions(tensorflow, digits, name, monkeypatch):
    """Keras must go on to list the layers inside layers: those of a network in a network."""
    compiled = []

    class CompiledError(Exception):
        pass

    def function(jit_compile):
        compiled.append(jit_compile)
        raise CompiledError

    model, _, loss, metrics, data = prepare(name, digits)
    monkeypatch.setattr(tensorflow, "function", function)
    with pytest.raises(CompiledError):
        evaluate(keras.Sequential([model]), loss, metrics, data)
    assert compiled == [name == "perceptron"]


def test_divergence_ends_in_its_epoch(tensorflow, digits, capsys):
    model, optimizer, loss, metrics, data = prepare("normalised", digits)
    broken = data[0].copy(), data[1]
    broken[0][7] = np.nan
    options = {"batch_size": BATCH, "epochs": 3, "seed": 0}
    with pytest.raises(SystemExit, match=r"no longer finite in epoch 1.*smaller learning_rate"):
        train(model, optimizer, loss, metrics, broken, data, **options)
    assert capsys.readouterr().out == ""


def test_cosine_falls_along_half_a_wave_to_zero_at_the_last_of_all_steps(tensorflow):
    steps = 3 * 4  # 200 images are 3 batches of 64 and a smaller one
    schedule = make_schedule("cosine", 0.3, 3)
    rates = [float(schedule(step)) for step in range(steps + 1)]
    expected = 0.15 * (1 + np.cos(np.pi * np.arange(steps + 1) / steps))
    np.testing.assert_allclose(rates, expected, atol=1e-7)
    assert make_schedule("constant", 0.3, 3) == 0.3


def test_augmentation_differs_in_every_step_and_follows_the_seed(tensorflow, digits):
    """The model sums pixels and learns nothing: its loss shows what it was given."""

    def scale(images, seed):
        return images * tensorflow.random.stateless_uniform((), seed)

    def run(seed):
        summed = layers.Dense(1, kernel_initializer="ones")
        model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), summed])
        loss, data = losses.MeanAbsoluteError(), (digits[0], np.zeros((COUNT, 1), np.float32))
        options = {"batch_size": COUNT, "epochs": 3, "seed": seed, "augment": scale}
        return train(model, optimizers.SGD(1e-9), loss, {}, data, data, **options)

    first = run(1)
    assert first.loss.nunique() == 3
    assert first.validation_loss.nunique() == 1, "only what is trained on is changed"
    assert (first.loss != run(2).loss).all()


def test_move_shifts_each_image_by_whole_pixels(tensorflow):
    images = np.random.default_rng(0).random((500, *SHAPE), np.float32)
    moved, again, other = (train_cnn.move(images, [1, seed], shift=1) for seed in (2, 2, 3))
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = [
        padded[:, row : row + SIDE, column : column + SIDE]
        for row in range(3)
        for column in range(3)
    ]
    places = np.array([(window == moved.numpy()).all(axis=(1, 2, 3)) for window in windows])
    assert (places.sum(axis=0) == 1).all()
    # Nine equally likely moves, five standard deviations of 500 draws.
    assert (np.abs(places.sum(axis=1) - 500 / 9) < 5 * np.sqrt(500 * 8 / 81)).all()
    np.testing.assert_array_equal(moved, again)
    assert (moved != other).numpy().any()
