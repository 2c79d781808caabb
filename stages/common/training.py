"""The training loop: one epoch is one compiled function.

`model.fit` returns to Python after every batch, or every few. On networks this small, that takes
longer than the arithmetic. Here a whole epoch runs inside TensorFlow. Network, loss, optimizer and
metrics come from `model.compile`, and mean what they mean to `fit`.

To print values or to stop in a debugger inside a training step, see docs/networks.md.
"""

import math
import sys
import time
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from common import TOO_SMALL, data
from common.params import Params, Seed, Threads
from common.runtime import keras, tf

TEST_BATCH = 1000


class TrainingParams(Params):
    """Parameters of every training."""

    shared: ClassVar = ("threads",)

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


def make_sgd(params: ClassifierParams, images: int):
    """Return a classifier's optimizer: SGD with Nesterov's momentum.

    `images` is the number of training images.
    """
    rate = schedule_rate(params, images)
    return keras.optimizers.SGD(rate, params.momentum, nesterov=True)


def suits_xla(model) -> bool:
    """Tell whether XLA trains a network faster than TensorFlow's plain graph.

    Dense layers, whose weights have two axes at most, are faster with XLA. Convolutions, whose
    kernels have more, are two to three times as slow with it.
    """
    return all(len(weight.shape) <= 2 for weight in model.weights)


def train_classifier(
    model, training, params: ClassifierParams, *, seed: int, augment=None
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Train a compiled classifier, then test it once.

    `training`, `seed` and `augment` are as for `train`. Returns the history, and the loss and the
    metrics on the test images as test_loss, test_accuracy, …. Ends the process with one line where
    later stages could not use the network.
    """
    refuse_unfit_classifier(model, training)
    history = train(
        model,
        training,
        data.load("validation"),
        batch_size=params.batch_size,
        epochs=params.epochs,
        seed=seed,
        augment=augment,
    )
    tested = evaluate(model, data.load("test"))
    return history, {f"test_{name}": value for name, value in tested.items()}


def train(
    model, training, validation, *, batch_size: int, epochs: int, seed: int, augment=None
) -> pd.DataFrame:
    """Train a compiled network in place; return a row for each epoch.

    `training` and `validation` are (inputs, targets), float32, images along the first axis. The
    training images are shuffled in every epoch, from `seed`. `augment` changes the inputs of each
    training batch: it gets them and a seed (int64, (2,)) that differs in every step.

    The columns are epoch, loss, the metrics, and the same on the validation images, as
    validation_loss. Those of the training images are means over the epoch while the weights
    change; a loss includes penalties. Ends the process with one line in the epoch in which one is
    no longer finite, or at once where the loop cannot train the network.
    """
    refuse_unfit(model)
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)

    def train_step(inputs, targets):
        if augment:
            inputs = augment(inputs, tf.stack([seed, tf.cast(optimizer.iterations, tf.int64)]))
        with tf.GradientTape() as tape:
            predictions = model(inputs, training=True)
            loss = model.compute_loss(inputs, targets, predictions)
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        model.compute_metrics(inputs, targets, predictions)
        return loss

    train_epoch = compile_pass(train_step, model, batch_size)
    evaluate_epoch = compile_evaluation(model)
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


def evaluate(model, test_data) -> dict[str, float]:
    """Return the loss, penalties included, and the metrics on test data, by name.

    `model` is compiled; `test_data`, (inputs, targets), are as for `train`.
    """
    inputs, targets = (tf.constant(array) for array in test_data)
    return compile_evaluation(model)(inputs, targets, tf.range(len(inputs)))


def refuse_unfit(model) -> None:
    """End the process with one line where the loop cannot train a network."""
    name = f"error: network {model.name}"
    if not getattr(model, "outputs", None):
        sys.exit(f"{name}: begin it with keras.Input(shape)")
    if len(model.inputs) > 1 or len(model.outputs) > 1:
        sys.exit(f"{name} must have one input and one output")
    for layer in [model, *list_layers(model)]:
        if layer.compute_dtype != "float32":
            sys.exit(f"{name}: {layer.name} computes in {layer.compute_dtype}; choose float32")
        for output in keras.tree.flatten(getattr(layer, "output", ())):
            if 0 in output.shape:
                sys.exit(f"{name}: {layer.name} gives {output.shape[1:]}; {TOO_SMALL}")


def refuse_unfit_classifier(model, training) -> None:
    """End the process with one line where a network is no classifier for later stages."""
    refuse_unfit(model)
    inputs, targets = (tf.constant(array[:10]) for array in training)
    outputs = model(inputs, training=False)
    name = f"error: network {model.name}"
    if not tf.is_tensor(outputs):
        sys.exit(f"{name} gives a {type(outputs).__name__}; let it give its output alone")
    if tf.reduce_min(outputs) < 0 or tf.reduce_max(outputs) > 1:
        sys.exit(f"{name}: outputs are not from 0 to 1; end it with softmax")
    if "accuracy" not in model.compute_metrics(inputs, targets, outputs):
        sys.exit(f'{name}: compile it with "accuracy" among its metrics')


def list_layers(model) -> Iterator:
    """List the layers of a network, and those of the networks in it."""
    for layer in model.layers:
        yield layer
        yield from list_layers(layer) if hasattr(layer, "layers") else ()


def compile_evaluation(model):
    """Compile the evaluation of `model`; the result is that of `compile_pass`."""

    def test_step(inputs, targets):
        predictions = model(inputs, training=False)
        model.compute_metrics(inputs, targets, predictions)
        return model.compute_loss(inputs, targets, predictions, training=False)

    return compile_pass(test_step, model, TEST_BATCH)


def compile_pass(step, model, batch_size: int):
    """Compile `step` over all batches of (inputs, targets), taken in a given order.

    `step` returns the loss of a batch, a mean, and updates the metrics of `model`. The result is
    the loss, of which each image counts once, and the metrics, by name. The last batch may be
    smaller.
    """

    def sum_losses(inputs, targets, order):
        def add_batch(total, first, size):
            indices = tf.slice(order, [first], [size])
            return total + size * step(tf.gather(inputs, indices), tf.gather(targets, indices))

        full, rest = divmod(len(inputs), batch_size)
        total = tf.zeros(())
        if full:  # XLA compiles the loop even when it would not run
            for index in tf.range(full):
                total = add_batch(total, index * batch_size, batch_size)
        if rest:
            total = add_batch(total, full * batch_size, rest)
        return total

    plain = tf.function(sum_losses)
    compiled = tf.function(sum_losses, jit_compile=True) if suits_xla(model) else plain

    def run(inputs, targets, order) -> dict[str, float]:
        nonlocal compiled
        model.reset_metrics()
        try:
            total = compiled(inputs, targets, order)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            if compiled is plain:
                raise
            print(f"XLA cannot compile network {model.name}: it runs without", flush=True)
            compiled = plain
            total = compiled(inputs, targets, order)
        metrics = model.get_metrics_result()
        metrics.pop("loss")  # Keras's own tracker of the loss, which only `fit` updates
        for name, value in metrics.items():
            if np.size(value) != 1:
                sys.exit(f"error: metric {name} gives {np.size(value)} numbers; choose one number")
        return {"loss": (total.numpy() / len(inputs)).item()} | metrics

    return run
