"""Train a small perceptron: two hidden layers of 64 (published problem 2a to 2c)."""

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


class MlpParameters(Parameters, section="train_mlp"):
    learning_rate: LearningRate
    momentum: Momentum
    schedule: Schedule
    batch_size: BatchSize
    epochs: Epochs
    seed: Seed
    threads: Threads


def build():
    """Images (N, 28, 28, 1) to ten probabilities: 55,050 parameters."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="hidden_1"),
            layers.Dense(64, activation="relu", name="hidden_2"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="mlp",
    )


def main(parameters: MlpParameters) -> None:
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    from common import dataset, models, results
    from common.runtime import keras, set_up
    from common.seeds import derive_seed
    from common.training import evaluate, scheduled, train

    set_up(derive_seed(parameters.seed, "weights"), parameters.threads)
    model, loss = build(), keras.losses.CategoricalCrossentropy()
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
    )
    test = evaluate(model, loss, dataset.load("test"))
    metrics = history.iloc[-1].drop("epoch").to_dict()
    metrics |= {f"test_{name}": value for name, value in test.items()}
    metrics["parameters"] = model.count_params()
    models.save(model, "models/mlp.keras")
    results.write_csv("plots/train_mlp/history.csv", history)
    results.write_json("metrics/train_mlp.json", metrics)


if __name__ == "__main__":
    MlpParameters.run(main, __doc__)
