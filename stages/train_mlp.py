"""Train a small perceptron: two hidden layers of 64 (published problem 2a to 2c)."""

from common import data, networks
from common.runtime import derive_seed, keras, set_up
from common.training import ClassifierParams, evaluate, schedule_rate, train


class MlpParams(ClassifierParams):
    """Parameters of the perceptron: section train_mlp of params.yaml."""


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
    rate = schedule_rate(params, len(images))
    optimizer = keras.optimizers.SGD(rate, params.momentum, nesterov=True)
    loss = keras.losses.CategoricalCrossentropy()
    metrics = {"accuracy": keras.metrics.categorical_accuracy}
    history = train(
        model,
        optimizer,
        loss,
        metrics,
        (images, labels),
        data.load("validation"),
        batch_size=params.batch_size,
        epochs=params.epochs,
        seed=derive_seed(params.seed, "shuffling"),
    )
    tested = evaluate(model, loss, metrics, data.load("test"))
    networks.save(model, "mlp", optimizer, loss)
    data.write_csv("plots/train_mlp/history.csv", history)
    data.write_json("metrics/train_mlp.json", {f"test_{name}": tested[name] for name in tested})


if __name__ == "__main__":
    main(MlpParams.load("train_mlp", "threads"))
