"""The training loop: one epoch is one compiled function.

`model.fit` returns to Python after every batch, or every few. On networks this small, that takes
longer than the arithmetic. Here a whole epoch runs inside TensorFlow. Network, optimizer, loss and
metrics are any of Keras's, and mean what they mean to `fit`.

To print values or to stop in a debugger inside a training step, write
`tf.config.run_functions_eagerly(True)` in a stage before it calls `train`, and run the stage by
hand: `python stages/train_mlp.py`. It is slower, and the last digits of the numbers may differ.
"""

import math
import sys
import time
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from common.params import Params, Seed, Threads
from common.runtime import keras, tf


class TrainingParams(Params):
    """Parameters of every training."""

    learning_rate: float = Field(gt=0, le=100, description="step size of the optimizer")
    schedule: Literal["constant", "cosine"] = Field(
        description="the learning rate over the epochs; cosine falls to 0"
    )
    batch_size: int = Field(ge=1, le=60_000, description="images in each step")
    epochs: int = Field(ge=1, le=10_000, description="passes over the training images")
    seed: Seed
    threads: Threads


class ClassifierParams(TrainingParams):
    """Parameters of every classifier's training."""

    momentum: float = Field(
        ge=0, lt=1, description="share of each step that the next one repeats (Nesterov's)"
    )


def schedule_rate(params: TrainingParams, images: int):
    """Return the learning rate, or its Keras schedule for `images` training images.

    "cosine" is ½ · learning_rate · (1 + cos(π · step / steps)), after Loshchilov and Hutter, 2017,
    https://arxiv.org/abs/1608.03983, without restarts.
    """
    if params.schedule == "constant":
        return params.learning_rate
    steps = params.epochs * math.ceil(images / params.batch_size)
    return keras.optimizers.schedules.CosineDecay(params.learning_rate, steps)


def train(
    model, optimizer, loss, metrics, training, validation, *, batch_size, epochs, seed, augment=None
) -> pd.DataFrame:
    """Train `model` in place; return its history, a row for each epoch.

    `loss` is a Keras loss. `metrics` are functions of (targets, predictions) by name, such as
    {"accuracy": keras.metrics.categorical_accuracy}. `training` and `validation` are (inputs,
    targets), float32, images along the first axis. The training images are shuffled in every
    epoch, from `seed`. `augment` changes the inputs of each training batch: it gets them and a
    seed (int64, (2,)) that differs in every step.

    The columns are epoch, loss, the metrics, and the same on the validation images, as
    validation_loss. Those of the training images are means over the epoch while the weights
    change; a loss includes penalties. Ends the process with one line in the epoch in which one is
    no longer finite, or at once where a layer's output holds no numbers.
    """
    refuse_empty_outputs(model)
    optimizer.build(model.trainable_variables)

    def train_step(inputs, targets):
        if augment:
            inputs = augment(inputs, tf.stack([seed, tf.cast(optimizer.iterations, tf.int64)]))
        with tf.GradientTape() as tape:
            predictions = model(inputs, training=True)
            value = add_penalties(loss(targets, predictions), model)
            scaled = optimizer.scale_loss(value)
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return measure(value, metrics, targets, predictions)

    train_epoch = compile_pass(train_step, model, metrics, batch_size)
    evaluate_epoch = compile_evaluation(model, loss, metrics)
    training = [tf.constant(array) for array in training]
    validation = [tf.constant(array) for array in validation]
    random = np.random.default_rng(seed)
    rows = []
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        order = random.permutation(len(training[0])).astype(np.int32)
        row = train_epoch(*training, tf.constant(order))
        validated = evaluate_epoch(*validation, tf.range(len(validation[0])))
        row |= {f"validation_{name}": value for name, value in validated.items()}
        if not all(map(math.isfinite, row.values())):
            sys.exit(
                f"error: the loss is no longer finite in epoch {epoch}: training diverges. "
                "Nothing is saved; choose a smaller learning_rate"
            )
        rows.append({"epoch": epoch} | row)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in row.items())
        seconds = time.perf_counter() - start
        print(f"epoch {epoch}/{epochs}  {shown}  {seconds:.1f} s", flush=True)
    optimizer.finalize_variable_values(model.trainable_variables)  # of use_ema
    return pd.DataFrame(rows)


def refuse_empty_outputs(model) -> None:
    """End the process with one line where a layer's output holds no numbers."""
    for layer in model.layers:
        for output in keras.tree.flatten(getattr(layer, "output", ())):
            if 0 in output.shape:
                sys.exit(
                    f"error: layer {layer.name} of {model.name} has an output of shape "
                    f"{output.shape[1:]}: the images are too small for so many layers; "
                    'leave one out, or give the convolutions padding="same"'
                )


def evaluate(model, loss, metrics, data) -> dict[str, float]:
    """Return the loss, penalties included, and the metrics on `data`, by name.

    `loss`, `metrics` and `data`, (inputs, targets), are as for `train`.
    """
    inputs, targets = (tf.constant(array) for array in data)
    return compile_evaluation(model, loss, metrics)(inputs, targets, tf.range(len(inputs)))


def compile_evaluation(model, loss, metrics):
    """Compile the evaluation of `model`; the result is that of `compile_pass`."""

    def test_step(inputs, targets):
        predictions = model(inputs, training=False)
        value = add_penalties(loss(targets, predictions), model)
        return measure(value, metrics, targets, predictions)

    return compile_pass(test_step, model, metrics, batch_size=1000)


def add_penalties(value, model):
    """Add the penalties of the layers, such as weight decay, to a batch's loss."""
    return value + tf.add_n(model.losses) if model.losses else value


def measure(value, metrics, targets, predictions) -> dict:
    """Return the loss, `value`, and the metrics of a batch, each a mean, by name."""
    means = {name: tf.reduce_mean(of(targets, predictions)) for name, of in metrics.items()}
    return {"loss": value} | means


def compile_pass(step, model, metrics, batch_size: int):
    """Compile `step` over all batches of (inputs, targets), taken in a given order.

    `step` returns means over a batch by name; so does the result, over all images, of which each
    counts once. The last batch may be smaller. XLA compiles a network, but no convolutions: those
    of oneDNN, which TensorFlow uses otherwise, are faster.
    """
    # Keras has no public way to list the layers within layers. Each convolution has a kernel size.
    has_convolutions = any(hasattr(layer, "kernel_size") for layer in model._flatten_layers())

    @tf.function(jit_compile=not has_convolutions)
    def sum_over_batches(inputs, targets, order):
        def add_batch(sums, first, size):
            indices = tf.slice(order, [first], [size])
            means = step(tf.gather(inputs, indices), tf.gather(targets, indices))
            return {name: sums[name] + size * means[name] for name in sums}

        full, rest = divmod(len(inputs), batch_size)
        sums = {name: tf.zeros(()) for name in ("loss", *metrics)}
        if full:  # XLA compiles the loop even when it would not run
            for index in tf.range(full):
                sums = add_batch(sums, index * batch_size, batch_size)
        if rest:
            sums = add_batch(sums, full * batch_size, rest)
        return sums

    def run(inputs, targets, order) -> dict[str, float]:
        sums = sum_over_batches(inputs, targets, order)
        return {name: (total.numpy() / len(inputs)).item() for name, total in sums.items()}

    return run
