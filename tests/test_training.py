"""The training loop does what plain `model.fit` does, and always the same."""

import collections
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_any_network import draw_digits, residual

import train_cnn
from common.runtime import keras
from common.training import schedule_rate, train, train_classifier
from sweep_l2 import QuickL2

COUNT, BATCH, SIDE = 200, 64, 12  # the last batch is smaller: 200 = 3 · 64 + 8
SHAPE = (SIDE, SIDE, 1)
layers, optimizers = keras.layers, keras.optimizers
DIGITS = draw_digits(COUNT, SIDE, 10)


def make_schedule(schedule, epochs):
    params = {"schedule": schedule, "learning_rate": 0.3, "epochs": epochs, "batch_size": BATCH}
    return schedule_rate(SimpleNamespace(**params), COUNT)


def build(*hidden, last="softmax"):
    """Build a classifier of `hidden` layers and one that is dense."""
    return keras.Sequential(
        [keras.Input(SHAPE), *hidden, layers.Flatten(), layers.Dense(10, last)], name="small"
    )


def perceptron():
    """A penalty, cosine, momentum, a scaled loss; metrics of two kinds."""
    hidden = layers.Dense(32, "relu", kernel_regularizer=QuickL2(0.001))
    model = build(layers.Flatten(), hidden)
    rate = make_schedule("cosine", 2)
    optimizer = optimizers.SGD(rate, 0.9, nesterov=True, loss_scale_factor=8.0)
    several = ["accuracy", keras.metrics.Precision(0.15, name="precision")]
    model.compile(optimizer, "categorical_crossentropy", metrics=several)
    return model


def normalised():
    """Normalised convolutions in a network inside; a loss object; clipped gradients."""
    model = residual(SHAPE, 10)
    optimizer = optimizers.AdamW(0.001, clipnorm=1.0)
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    return model


def weigh_errors(actual, predicted):
    return keras.ops.mean(keras.ops.square(actual - predicted) * (1 + actual), axis=-1)


def own():
    """A function as loss and metric; a penalty on outputs; averaged weights."""
    model = build(layers.Flatten(), layers.Dense(16, "tanh", activity_regularizer="l2"))
    optimizer = optimizers.RMSprop(0.001, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, weigh_errors, metrics=[weigh_errors])
    return model


def make_batches(data):
    """Yield the batches of two epochs of `train` with seed 3."""
    random = np.random.default_rng(3)
    for _ in range(2):
        order = random.permutation(COUNT)
        for first in range(0, COUNT, BATCH):
            indices = order[first : first + BATCH]
            yield tuple(array[indices] for array in data)


@pytest.mark.parametrize("make", [perceptron, normalised, own])
def test_agrees_with_fit_on_the_same_batches(tensorflow, make):
    # Evaluated in batches of 1000 and 40 images, of which each counts once.
    validation = tuple(np.concatenate([array] * 5 + [array[:40]]) for array in DIGITS)
    keras.utils.set_random_seed(1)
    model = make()
    history = train(model, DIGITS, validation, batch_size=BATCH, epochs=2, seed=3)
    keras.utils.set_random_seed(1)
    plain = make()
    options = {"validation_data": validation, "validation_batch_size": 1000, "verbose": 0}
    fitted = plain.fit(make_batches(DIGITS), epochs=2, steps_per_epoch=4, **options)
    expected = {name.replace("val_", "validation_"): row for name, row in fitted.history.items()}
    assert set(history) == {"epoch", *expected}
    expected = pd.DataFrame(expected)
    pd.testing.assert_frame_equal(history[expected.columns], expected, rtol=1e-4)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_penalty_of_the_sweep_is_keras_s(tensorflow):
    kernel = keras.random.normal((50, 30), seed=0)
    expected = float(keras.regularizers.L2(0.25)(kernel))
    assert float(QuickL2(0.25)(kernel)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: build(layers.MaxPooling2D(7), layers.Conv2D(2, 2)), ": .* images are too small"),
        (lambda: keras.Sequential([layers.Flatten()], name="small"), ": begin it with keras.Input"),
        (lambda: build(last=None), ": .*; end it with softmax"),
        (build, ': compile it with "accuracy"'),
    ],
)
def test_network_that_cannot_be_used_is_refused_before_it_trains(tensorflow, make, said):
    model = make()
    model.compile("sgd", "mse", metrics=["mae"])
    with pytest.raises(SystemExit) as refusal:
        train_classifier(model, DIGITS, None, seed=0)
    assert re.fullmatch(f"error: network small{said}.*", str(refusal.value))


def test_divergence_ends_in_its_epoch(tensorflow):
    model = build()
    model.compile(optimizers.SGD(1e38), "categorical_crossentropy")
    with pytest.raises(SystemExit, match=r"^error: .* in epoch 1: .*smaller learning_rate"):
        train(model, DIGITS, DIGITS, batch_size=BATCH, epochs=3, seed=0)


def test_layer_that_xla_cannot_compile_is_trained_without_it(tensorflow, capsys):
    model = build(layers.RandomTranslation(0.1, 0.1))
    model.compile("sgd", "mse")
    train(model, DIGITS, DIGITS, batch_size=BATCH, epochs=2, seed=0)
    assert capsys.readouterr().out.count("XLA cannot compile network small") == 1


def test_cosine_falls_to_zero_at_the_last_of_all_steps(tensorflow):
    schedule = make_schedule("cosine", 3)
    # 200 images are 3 batches of 64 and a smaller one: 12 steps in 3 epochs.
    rates = [float(schedule(step)) for step in (0, 6, 12)]
    assert rates == pytest.approx([0.3, 0.15, 0], abs=1e-7)
    assert make_schedule("constant", 3) == 0.3


def test_augmentation_differs_in_every_step_and_follows_the_seed(tensorflow):
    """The network learns nothing: its loss shows what it was given."""

    def scale(images, seed):
        return images * tensorflow.random.stateless_uniform((), seed)

    def run(seed):
        keras.utils.set_random_seed(0)
        model = build()
        model.compile(optimizers.SGD(0.0), "mse")
        return train(model, DIGITS, DIGITS, batch_size=COUNT, epochs=3, seed=seed, augment=scale)

    first = run(1)
    assert first.loss.round(5).nunique() == 3
    assert first.validation_loss.nunique() == 1, "only what is trained on is changed"
    assert (first.loss != run(2).loss).all()


def test_move_shifts_each_image_by_whole_pixels_of_its_own(tensorflow):
    images = np.zeros((500, *SHAPE), np.float32)
    images[:, 5, 5] = 1
    _, rows, columns, _ = np.nonzero(train_cnn.move(images, [0, 2], shift=1))
    places = collections.Counter(zip(rows.tolist(), columns.tolist(), strict=True))
    assert set(places) == set(itertools.product([4, 5, 6], [4, 5, 6]))
    assert places.total() == 500
    assert min(places.values()) > 20, "all nine are equally likely"
