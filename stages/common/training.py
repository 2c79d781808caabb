"""The training loop: one epoch is one compiled function.

`model.fit` returns to Python after every batch. On networks this small, that takes longer than the
arithmetic. Here a whole epoch runs inside TensorFlow. Network, loss and optimizer are Keras's, and
the metrics of an epoch mean what Keras's do.
"""

import functools
import math
import sys
import time

import numpy as np
import pandas as pd

from common.parameters import Parameters, Seed, Threads, choice, number, whole
from common.runtime import keras, tf


class TrainingParameters(Parameters):
    """Hold what every training needs."""

    learning_rate: number("step size of the optimizer", gt=0, le=100)
    schedule: choice("the learning rate over the epochs; cosine falls to 0", "constant", "cosine")
    batch_size: whole("images in each step", 1, 60_000)
    epochs: whole("passes over the training images", 1, 10_000)
    seed: Seed
    threads: Threads


def schedule_rate(parameters, images: int):
    """Return the learning rate, or its Keras schedule for `images` training images.

    "cosine" is ½ · learning_rate · (1 + cos(π · step / steps)), after Loshchilov and Hutter, 2017,
    https://arxiv.org/abs/1608.03983, without restarts.
    """
    if parameters.schedule == "constant":
        return parameters.learning_rate
    steps = parameters.epochs * math.ceil(images / parameters.batch_size)
    return keras.optimizers.schedules.CosineDecay(parameters.learning_rate, steps)


def train(
    model, optimizer, loss, training, validation, *, batch_size, epochs, seed, augment=None
) -> pd.DataFrame:
    """Train `model` in place; return its history, a row for each epoch.

    `training` and `validation` are (inputs, targets), float32, images along the first axis. The
    training images are shuffled in every epoch, from `seed`. `loss` is a Keras loss. `augment`
    changes the inputs of each training batch: it gets them and a seed (int64, (2,)) that differs
    in every step.

    The columns are epoch, loss and validation_loss; for classifiers also accuracy and
    validation_accuracy. `loss` and `accuracy` are means over the epoch while the weights change,
    penalties included, as `model.fit` reports them. Ends the process with one line in the epoch in
    which a loss is no longer finite.
    """
    optimizer.build(model.trainable_variables)

    def update(inputs, targets):
        if augment:
            inputs = augment(inputs, tf.stack([seed, tf.cast(optimizer.iterations, tf.int64)]))
        with tf.GradientTape() as tape:
            value, metrics = _measure(model, loss, inputs, targets, is_training=True)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return metrics

    run_epoch = _compile_epoch(update, model, loss, batch_size)
    training = [tf.constant(array) for array in training]
    validation = [tf.constant(array) for array in validation]
    random = np.random.default_rng(seed)
    rows = []
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        order = random.permutation(len(training[0])).astype(np.int32)
        row = run_epoch(*training, tf.constant(order))
        for name, value in evaluate(model, loss, validation).items():
            row[f"validation_{name}"] = value
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


def evaluate(model, loss, data) -> dict[str, float]:
    """Return the loss and, for classifiers, the accuracy on `data`.

    `data` are (inputs, targets) as for `train`; the loss includes penalties.
    """
    inputs, targets = data
    run = _compile_evaluation(model, loss)
    return run(tf.constant(inputs), tf.constant(targets), tf.range(len(inputs)))


@functools.cache
def _compile_evaluation(model, loss):
    def step(inputs, targets):
        return _measure(model, loss, inputs, targets, is_training=False)[1]

    return _compile_epoch(step, model, loss, batch_size=1000)


def _is_classifier(loss) -> bool:
    return isinstance(loss, keras.losses.CategoricalCrossentropy)


def _measure(model, loss, inputs, targets, is_training):
    """Return the loss of a batch, to differentiate, and its metrics, to report."""
    predictions = model(inputs, training=is_training)
    value = loss(targets, predictions)
    if model.losses:
        value += tf.add_n(model.losses)
    metrics = [value]
    if _is_classifier(loss):
        correct = tf.argmax(predictions, axis=1) == tf.argmax(targets, axis=1)
        metrics.append(tf.reduce_mean(tf.cast(correct, tf.float32)))
    return value, tf.stack(metrics)


def _compile_epoch(step, model, loss, batch_size):
    """Compile `step` over all batches of (inputs, targets), taken in a given order.

    The result returns the metrics by name, each a mean in which every image counts once. The last
    batch may be smaller. XLA compiles dense networks; its convolutions are slower than those of
    oneDNN, which TensorFlow uses otherwise.
    """
    is_dense = not any(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
    names = ["loss", "accuracy"] if _is_classifier(loss) else ["loss"]

    @tf.function(jit_compile=is_dense)
    def sum_over_batches(inputs, targets, order):
        def run_batch(first, size):
            indices = tf.slice(order, [first], [size])
            return size * step(tf.gather(inputs, indices), tf.gather(targets, indices))

        full, rest = divmod(len(inputs), batch_size)
        total = tf.zeros(len(names))
        if full:  # XLA compiles the loop even when it would not run
            for index in tf.range(full):
                total += run_batch(index * batch_size, batch_size)
        if rest:
            total += run_batch(full * batch_size, rest)
        return total

    def run(inputs, targets, order):
        means = sum_over_batches(inputs, targets, order).numpy() / len(inputs)
        return dict(zip(names, means.tolist(), strict=True))

    return run
