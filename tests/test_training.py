"""The training loop does what plain `model.fit` does, and always the same."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_any_network import residual

import train_cnn
from common import training
from common.runtime import keras
from common.training import refuse_unfit_classifier, schedule_rate, train
from sweep_l2 import QuickL2

COUNT, BATCH, SIDE = 200, 64, 12  # the last batch is smaller: 200 = 3 · 64 + 8
SHAPE = (SIDE, SIDE, 1)
layers, optimizers, losses, metrics = keras.layers, keras.optimizers, keras.losses, keras.metrics


@pytest.fixture(scope="module")
def digits():
    """Images and one-hot labels with something to learn: a bright row for each class."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 10, COUNT)
    images = random.random((COUNT, *SHAPE), np.float32) * 0.5
    images[np.arange(COUNT), classes] += 0.5
    return images, np.eye(10, dtype=np.float32)[classes]


def make_schedule(schedule, rate, epochs):
    params = {"schedule": schedule, "learning_rate": rate, "epochs": epochs, "batch_size": BATCH}
    return schedule_rate(SimpleNamespace(**params), COUNT)


def dense(hidden):
    last = layers.Dense(10, activation="softmax")
    return keras.Sequential([keras.Input(SHAPE), layers.Flatten(), hidden, last])


def perceptron():
    """Penalties, cosine, momentum; loss by name, and scaled; metrics of all kinds."""
    model = dense(layers.Dense(32, activation="relu", kernel_regularizer=QuickL2(0.001)))
    rate = make_schedule("cosine", 0.1, 2)
    optimizer = optimizers.SGD(rate, 0.9, nesterov=True, loss_scale_factor=8.0)
    several = ["accuracy", metrics.Precision(0.15, name="precision")]
    model.compile(optimizer, "categorical_crossentropy", metrics=several)
    return model


def clipped():
    """Functional, with a network inside, normalised; a loss object; clipped gradients."""
    model = residual(SHAPE, 10)
    optimizer = optimizers.AdamW(0.001, clipnorm=1.0)
    model.compile(optimizer, losses.CategoricalCrossentropy(label_smoothing=0.1))
    return model


def weigh_errors(actual, predicted):
    return keras.ops.mean(keras.ops.square(actual - predicted) * (1 + actual), axis=-1)


def count_sure(actual, predicted):
    return keras.ops.cast(keras.ops.max(predicted, axis=-1) > 0.15, "float32")


def own():
    """Loss and metric are functions of one's own; a penalty on outputs; averaged weights."""
    model = dense(layers.Dense(16, activation="tanh", activity_regularizer="l2"))
    optimizer = optimizers.RMSprop(0.001, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, weigh_errors, metrics=[count_sure])
    return model


@pytest.fixture
def without_xla(monkeypatch):
    """Train in a plain graph, which is made in a tenth of the time."""
    monkeypatch.setattr(training, "suits_xla", lambda model: False)


def make_batches(data):
    """Yield the batches of two epochs of `train` with seed 3."""
    random = np.random.default_rng(3)
    for _ in range(2):
        order = random.permutation(COUNT)
        for first in range(0, COUNT, BATCH):
            indices = order[first : first + BATCH]
            yield tuple(array[indices] for array in data)


def fit(model, data, validation) -> pd.DataFrame:
    """Train with Keras's `fit` for two epochs."""
    options = {"epochs": 2, "steps_per_epoch": 4, "verbose": 0}
    options |= {"validation_data": validation, "validation_batch_size": 1000}
    history = pd.DataFrame(model.fit(make_batches(data), **options).history)
    return history.rename(columns=lambda name: name.replace("val_", "validation_"))


@pytest.mark.parametrize("make", [perceptron, clipped, own])
def test_agrees_with_fit_on_the_same_batches(tensorflow, digits, make):
    # Evaluated in batches of 1000 and 40 images, of which each counts once.
    validation = tuple(np.concatenate([array] * 5 + [array[:40]]) for array in digits)
    keras.utils.set_random_seed(1)
    model = make()
    history = train(model, digits, validation, batch_size=BATCH, epochs=2, seed=3)
    keras.utils.set_random_seed(1)
    plain = make()
    expected = fit(plain, digits, validation)
    assert set(history) == {"epoch", *expected}
    pd.testing.assert_frame_equal(history[expected.columns], expected, rtol=1e-4)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_quick_penalty_is_keras_s(tensorflow):
    kernel = keras.random.normal((50, 30), seed=0)
    expected = float(keras.regularizers.L2(0.25)(kernel))
    assert float(QuickL2(0.25)(kernel)) == pytest.approx(expected, rel=1e-5)


def small(*hidden):
    """Return a compiled classifier of `hidden` layers and one that is dense."""
    last = layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input(SHAPE), *hidden, layers.Flatten(), last], name="small")
    model.compile("sgd", "categorical_crossentropy")
    return model


def two_outputs():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, [layers.ReLU()(inputs), layers.ReLU()(inputs)], name="small")


def nested_bfloat16():
    return small(keras.Sequential([layers.Dense(2, dtype="mixed_bfloat16", name="inner")]))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (two_outputs, " must have one input and one output"),
        (nested_bfloat16, ": inner computes in bfloat16"),
        (lambda: small(layers.MaxPooling2D(7), layers.Conv2D(2, 2)), ": .* images are too small"),
    ],
)
def test_network_that_the_loop_cannot_train_is_refused_at_once(tensorflow, digits, make, said):
    with pytest.raises(SystemExit) as refusal:
        train(make(), digits, digits, batch_size=BATCH, epochs=1, seed=0)
    assert re.fullmatch(f"error: network small{said}.*", str(refusal.value))


@pytest.mark.parametrize(
    ("last", "metrics", "said"),
    [
        (None, ["accuracy"], "end it with softmax"),
        ("softmax", ["top_k_categorical_accuracy"], 'with "accuracy" among its metrics'),
    ],
)
def test_classifier_that_later_stages_cannot_use_is_refused(digits, last, metrics, said):
    flat = [keras.Input(digits[0].shape[1:]), layers.Flatten()]
    network = keras.Sequential([*flat, layers.Dense(digits[1].shape[1], last)])
    network.compile("sgd", "categorical_crossentropy", metrics=metrics)
    with pytest.raises(SystemExit, match=said):
        refuse_unfit_classifier(network, digits)


@pytest.mark.parametrize("convolutions", [0, 1])
def test_xla_compiles_what_has_no_convolutions(tensorflow, digits, capsys, convolutions):
    """XLA has no kernel for a translation: where it compiles, a line says what happens instead."""
    model = small(layers.RandomTranslation(0.1, 0.1), *[layers.Conv2D(2, 3)] * convolutions)
    history = train(model, digits, digits, batch_size=BATCH, epochs=2, seed=0)
    assert np.isfinite(history.loss).all()
    said = capsys.readouterr().out.count("XLA cannot compile network small")
    assert said == 1 - convolutions


def test_metric_of_several_numbers_is_refused(tensorflow, digits, without_xla):
    model = small()
    model.compile("sgd", "mse", metrics=[metrics.F1Score(name="f1")])
    with pytest.raises(SystemExit, match=r"^error: metric f1 gives 10 numbers"):
        train(model, digits, digits, batch_size=BATCH, epochs=1, seed=0)


def test_divergence_ends_in_its_epoch(tensorflow, digits, without_xla, capsys):
    model = small()
    model.optimizer.learning_rate = 1e38
    with pytest.raises(SystemExit, match=r"no longer finite in epoch 1.*smaller learning_rate"):
        train(model, digits, digits, batch_size=BATCH, epochs=3, seed=0)
    assert capsys.readouterr().out == ""


def test_cosine_falls_to_zero_at_the_last_of_all_steps(tensorflow):
    schedule = make_schedule("cosine", 0.3, 3)
    # 200 images are 3 batches of 64 and a smaller one: 12 steps in 3 epochs.
    rates = [float(schedule(step)) for step in (0, 6, 12)]
    assert rates == pytest.approx([0.3, 0.15, 0], abs=1e-7)
    assert make_schedule("constant", 0.3, 3) == 0.3


def test_augmentation_differs_in_every_step_and_follows_the_seed(tensorflow, digits, without_xla):
    """The model sums pixels and learns nothing: its loss shows what it was given."""

    def scale(images, seed):
        return images * tensorflow.random.stateless_uniform((), seed)

    def run(seed):
        summed = layers.Dense(1, kernel_initializer="ones")
        model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), summed])
        model.compile(optimizers.SGD(1e-9), "mean_absolute_error")
        data = (digits[0], np.zeros((COUNT, 1), np.float32))
        return train(model, data, data, batch_size=COUNT, epochs=3, seed=seed, augment=scale)

    first = run(1)
    assert first.loss.nunique() == 3
    assert first.validation_loss.nunique() == 1, "only what is trained on is changed"
    assert (first.loss != run(2).loss).all()


def test_move_shifts_each_image_by_whole_pixels_of_its_own(tensorflow):
    images = np.random.default_rng(0).random((500, *SHAPE), np.float32)
    moved = train_cnn.move(images, [0, 2], shift=1).numpy()
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    corners = itertools.product(range(3), range(3))
    windows = [padded[:, row : row + SIDE, column : column + SIDE] for row, column in corners]
    places = np.array([(window == moved).all(axis=(1, 2, 3)) for window in windows])
    assert (places.sum(axis=0) == 1).all()
    # Nine equally likely moves, five standard deviations of 500 draws.
    assert (np.abs(places.sum(axis=1) - 500 / 9) < 5 * np.sqrt(500 * 8 / 81)).all()
