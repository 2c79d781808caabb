"""Train a small perceptron: two hidden layers of 64 (published problem 2a to 2c)."""

from typing import ClassVar

from common import data, networks
from common.runtime import derive_seed, keras, set_up
from common.training import ClassifierParams, make_sgd, train_classifier


class MlpParams(ClassifierParams):
    """Parameters of the perceptron: section train_mlp of params.yaml."""

    section: ClassVar = "train_mlp"


def build(shape: tuple[int, ...], classes: int):
    """Build the network: images (N, *shape) to the probabilities of `classes`."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="hidden_1"),
            layers.Dense(64, activation="relu", name="hidden_2"),
            layers.Dense(classes, activation="softmax", name="digit"),
        ],
        name="mlp",
    )


def main(params: MlpParams) -> None:
    set_up(derive_seed(params.seed, "weights"), params.threads)
    images, labels = data.load("train")
    model = build(images.shape[1:], labels.shape[1])
    model.compile(make_sgd(params, len(images)), "categorical_crossentropy", metrics=["accuracy"])
    seed = derive_seed(params.seed, "shuffling")
    history, tested = train_classifier(model, (images, labels), params, seed=seed)
    networks.save(model, "mlp")
    data.write_csv("plots/train_mlp/history.csv", history)
    data.write_json("metrics/train_mlp.json", tested)


if __name__ == "__main__":
    main(MlpParams.load())
