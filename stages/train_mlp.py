"""Train a small perceptron: two hidden layers of 64 (published problem 2a to 2c)."""

from common import dataset, models, results
from common.classifier import ClassifierParameters, train_and_test
from common.runtime import keras


class MlpParameters(ClassifierParameters, section="train_mlp"):
    """Hold the perceptron's parameters."""


def build():
    """Build the network: images (N, 28, 28, 1) to ten probabilities, 55,050 parameters."""
    layers = keras.layers
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
    model, history, metrics = train_and_test(parameters, build, dataset.load("train"))
    models.save(model, "models/mlp.keras")
    results.write_csv("plots/train_mlp/history.csv", history)
    results.write_json("metrics/train_mlp.json", metrics)


if __name__ == "__main__":
    MlpParameters.run(main, __doc__)
