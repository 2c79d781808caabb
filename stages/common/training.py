"""The training loop: one epoch is one compiled function.

`model.fit` returns to Python after every batch, which on networks this small takes longer than
the arithmetic. Here a whole epoch runs inside TensorFlow; network, loss and optimizer stay
Keras's, and the figures kept per epoch mean what Keras's do.
"""

import functools
import math
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from common.runtime import keras, tf

EVALUATION_BATCH = 1000


def scheduled(parameters, images: int):
    """The learning rate of `parameters`, or its Keras schedule over all steps of a training on
    `images` images: "cosine" is ½ · learning_rate · (1 + cos(π · step / steps)).

    Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983, without restarts.
    """
    if parameters.schedule == "constant":
        return parameters.learning_rate
    steps = parameters.epochs * math.ceil(images / parameters.batch_size)
    return keras.optimizers.schedules.CosineDecay(parameters.learning_rate, steps)


def train(
    model,
    optimizer,
    loss,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    batch_size: int,
    epochs: int,
    seed: int,
    augment: Callable | None = None,
    jit_compile: bool = True,
) -> pd.DataFrame:
    """Train `model` in place; return its history, a row for each epoch.

    `training` and `validation` are (inputs, targets), float32, images along the first axis;
    the training images are shuffled anew in every epoch, from `seed`. `loss` is a Keras loss.
    Columns: epoch, loss, accuracy, validation_loss, validation_accuracy; the accuracies only
    for a classifier (categorical cross-entropy). `loss` and `accuracy` are means over the
    epoch while the weights change, penalties included, as `model.fit` reports them.

    `augment` makes what a step is trained on: it gets the inputs of a batch, and a seed (int64,
    shape (2,)) that is another in every step. `loss` and `accuracy` are then of such inputs.

    `jit_compile` has XLA compile the epoch: faster for dense layers; its convolutions are slower
    than the oneDNN ones that TensorFlow uses otherwise.

    Ends the process with one line in the epoch in which a loss stops being finite.
    """
    optimizer.build(model.trainable_variables)

    def update(inputs, targets):
        if augment:
            inputs = augment(inputs, tf.stack([seed, tf.cast(optimizer.iterations, tf.int64)]))
        with tf.GradientTape() as tape:
            value, figures = _figures(model, loss, inputs, targets, training=True)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return figures

    run_epoch = _over_batches(update, loss, batch_size, jit_compile)
    run_validation = _evaluation(model, loss, jit_compile)
    training = [tf.constant(array) for array in training]
    validation = [tf.constant(array) for array in validation]
    random = np.random.default_rng(seed)
    rows = []
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        order = random.permutation(len(training[0])).astype(np.int32)
        row = run_epoch(*training, tf.constant(order))
        result = run_validation(*validation)
        row |= {f"validation_{name}": value for name, value in result.items()}
        if not all(map(math.isfinite, row.values())):
            sys.exit(
                f"error: the loss is no longer finite in epoch {epoch}: training diverges. "
                "Nothing is saved; choose a smaller learning_rate"
            )
        rows.append({"epoch": epoch} | row)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in row.items())
        seconds = time.perf_counter() - start
        print(f"epoch {epoch}/{epochs}  {shown}  {seconds:.1f} s", flush=True)
    return pd.DataFrame(rows)


def evaluate(model, loss, data, *, jit_compile: bool = True) -> dict[str, float]:
    """Loss (penalties included) and, for a classifier, accuracy of `model` on `data`:
    (inputs, targets) as for `train`."""
    return _evaluation(model, loss, jit_compile)(*map(tf.constant, data))


@functools.cache  # compiled once, for the epochs and the last look alike
def _evaluation(model, loss, jit_compile):
    def figures(inputs, targets):
        return _figures(model, loss, inputs, targets, training=False)[1]

    run = _over_batches(figures, loss, EVALUATION_BATCH, jit_compile)
    return lambda inputs, targets: run(inputs, targets, tf.range(len(inputs)))


def _names(loss) -> list[str]:
    return ["loss", "accuracy"] if loss.name == "categorical_crossentropy" else ["loss"]


def _figures(model, loss, inputs, targets, training):
    """The batch's loss, to differentiate, and what `_names` lists, to report."""
    predictions = model(inputs, training=training)
    value = loss(targets, predictions)
    if model.losses:
        value += tf.add_n(model.losses)
    figures = [value]
    if "accuracy" in _names(loss):
        correct = tf.argmax(predictions, axis=1) == tf.argmax(targets, axis=1)
        figures.append(tf.reduce_mean(tf.cast(correct, tf.float32)))
    return value, tf.stack(figures)


def _over_batches(step, loss, batch_size, jit_compile):
    """A compiled function of inputs, targets and the order to take them in. It calls `step` on
    one batch after another, the last one smaller, and names the means of what that returns,
    each image counted once."""

    @tf.function(jit_compile=jit_compile)
    def sum_over_batches(inputs, targets, order):
        def batch(first, size):
            indices = tf.slice(order, [first], [size])
            return size * step(tf.gather(inputs, indices), tf.gather(targets, indices))

        full, rest = divmod(len(inputs), batch_size)
        total = tf.zeros(len(_names(loss)))
        if full:  # XLA compiles the loop even when it would not run
            for index in tf.range(full):
                total += batch(index * batch_size, batch_size)
        if rest:
            total += batch(full * batch_size, rest)
        return total

    def run(inputs, targets, order):
        means = sum_over_batches(inputs, targets, order).numpy() / len(inputs)
        return dict(zip(_names(loss), means.tolist(), strict=True))

    return run
