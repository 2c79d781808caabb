"""Train the convolutional network (published problem 3a)."""

import functools

from pydantic import Field

from common.parameters import (
    BatchSize,
    Epochs,
    LearningRate,
    Momentum,
    Parameters,
    Schedule,
    Seed,
    Threads,
)


class CnnParameters(Parameters, section="train_cnn"):
    learning_rate: LearningRate
    momentum: Momentum
    schedule: Schedule
    batch_size: BatchSize
    epochs: Epochs
    dropout: float = Field(
        ge=0,
        lt=1,
        description="share of the last convolution's outputs that is dropped in training: "
        "from 0 to below 1",
    )
    shift: int = Field(
        ge=0,
        le=14,
        description="how many pixels a training image is moved at most, up or down, and left or "
        "right, anew in every epoch: a whole number from 0 to 14",
    )
    seed: Seed
    threads: Threads


def build(dropout: float):
    """Images (N, 28, 28, 1) to ten probabilities: 93,322 parameters."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu", name="convolution_1"),
            layers.MaxPooling2D(name="pooling_1"),
            layers.Conv2D(64, 3, activation="relu", name="convolution_2"),
            layers.MaxPooling2D(name="pooling_2"),
            layers.Conv2D(64, 3, activation="relu", name="convolution_3"),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="cnn",
    )


def shifted(images, seed, shift: int):
    """`images`, a tensor (N, 28, 28, 1), each moved by whole pixels: up or down, and left or
    right, each by a number from −shift to shift drawn from `seed` (int64, shape (2,)); what
    comes in from outside is black."""
    from common.runtime import tf

    offsets = tf.random.stateless_uniform((len(images), 2), seed, 0, 2 * shift + 1, tf.int32)
    padded = tf.pad(images, [(0, 0), (shift, shift), (shift, shift), (0, 0)])
    rows, columns = (offsets[:, axis, tf.newaxis] + tf.range(28) for axis in (0, 1))
    moved = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(moved, columns, axis=2, batch_dims=1)


def main(parameters: CnnParameters) -> None:
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    import pandas as pd

    from common import dataset, models, results
    from common.runtime import keras, set_up
    from common.seeds import derive_seed
    from common.training import evaluate, scheduled, train

    set_up(derive_seed(parameters.seed, "weights"), parameters.threads)
    model, loss = build(parameters.dropout), keras.losses.CategoricalCrossentropy()
    training = dataset.load("train")
    learning_rate = scheduled(parameters, len(training[0]))
    optimizer = keras.optimizers.SGD(learning_rate, parameters.momentum, nesterov=True)
    history = train(
        model,
        optimizer,
        loss,
        training,
        dataset.load("validation"),
        batch_size=parameters.batch_size,
        epochs=parameters.epochs,
        seed=derive_seed(parameters.seed, "shuffling"),
        augment=functools.partial(shifted, shift=parameters.shift) if parameters.shift else None,
        jit_compile=False,
    )
    images, labels = dataset.load("test")
    test = evaluate(model, loss, (images, labels), jit_compile=False)
    metrics = history.iloc[-1].drop("epoch").to_dict()
    metrics |= {f"test_{name}": value for name, value in test.items()}
    metrics["parameters"] = model.count_params()
    probabilities = model.predict(images, batch_size=1000, verbose=0)
    predictions = pd.DataFrame(
        {
            "image": range(len(images)),
            "actual": labels.argmax(axis=1),
            "predicted": probabilities.argmax(axis=1),
            "probability": probabilities.max(axis=1),
        }
    )
    models.save(model, "models/cnn.keras")
    results.write_csv("plots/train_cnn/history.csv", history)
    results.write_csv("plots/train_cnn/predictions.csv", predictions)
    results.write_json("metrics/train_cnn.json", metrics)


if __name__ == "__main__":
    CnnParameters.run(main, __doc__)
