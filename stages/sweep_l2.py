"""Train one cell of the weight-decay sweep: hidden layers of 500 and 300, one factor, one
replicate (published problem 2d)."""

from common.parameters import (
    BatchSize,
    Epochs,
    Factor,
    LearningRate,
    Momentum,
    Parameters,
    Replicate,
    Schedule,
    Seed,
    Threads,
)


class CellParameters(Parameters, section="sweep_l2"):
    factor: Factor
    replicate: Replicate
    learning_rate: LearningRate
    momentum: Momentum
    schedule: Schedule
    batch_size: BatchSize
    epochs: Epochs
    seed: Seed
    threads: Threads


def build(factor: float):
    """Images (N, 28, 28, 1) to ten probabilities: 545,810 parameters. The loss of the model
    holds factor · Σ w² of the two hidden kernels (biases and the last layer are free)."""
    import keras
    from keras import layers, ops, regularizers

    class L2(regularizers.L2):
        """Summed by columns first: XLA adds up a whole matrix one number after the other, which
        takes a sixth of the epoch. The relu, of sums that are never negative, keeps it from
        making one sum of the two again."""

        def __call__(self, kernel):
            return self.l2 * ops.sum(ops.relu(ops.sum(ops.square(kernel), axis=0)))

    def hidden(units, name):
        return layers.Dense(units, activation="relu", kernel_regularizer=L2(factor), name=name)

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            hidden(500, "hidden_1"),
            hidden(300, "hidden_2"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="mlp_500_300",
    )


def main(parameters: CellParameters) -> None:
    # Imported here, so that --help and a wrong parameter need not wait for TensorFlow.
    from common import dataset, results
    from common.runtime import keras, set_up
    from common.seeds import derive_seed
    from common.training import evaluate, scheduled, train

    # As the file names of the cell's outputs have them: DVC writes the factor as Python does.
    cell = (parameters.factor, parameters.replicate)
    name = f"{cell[0]}-{cell[1]}"
    set_up(derive_seed(parameters.seed, *cell, "weights"), parameters.threads)
    model, loss = build(parameters.factor), keras.losses.CategoricalCrossentropy()
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
        seed=derive_seed(parameters.seed, *cell, "shuffling"),
    )
    test = evaluate(model, loss, dataset.load("test"))
    metrics = {"factor": parameters.factor, "replicate": parameters.replicate}
    metrics |= history.iloc[-1].drop("epoch").to_dict()
    metrics |= {f"test_{figure}": value for figure, value in test.items()}
    metrics["parameters"] = model.count_params()
    results.write_csv(f"plots/sweep_l2/{name}.csv", history)
    results.write_json(f"metrics/sweep_l2/{name}.json", metrics)


if __name__ == "__main__":
    CellParameters.run(main, __doc__)
