"""Train one cell of the weight-decay sweep: one factor, one replicate (published problem 2d)."""

import functools

from pydantic import Field

from common import dataset, results
from common.cells import Factor, Replicate, name_cell
from common.classifier import ClassifierParameters, train_and_test
from common.runtime import keras


class CellParameters(ClassifierParameters, section="sweep_l2.training"):
    """Hold the parameters of one cell: those of the training, one factor, one replicate."""

    factor: Factor = Field(title="sweep_l2.grid.factors")
    replicate: Replicate = Field(title="sweep_l2.grid.replicates")


def make_penalty(factor: float):
    """Make the penalty factor · Σ w² of a kernel, summed by columns first.

    XLA adds up a whole matrix one number after the other, which takes a sixth of the epoch. The
    relu, of sums that are never negative, keeps XLA from merging the two sums.
    """
    ops = keras.ops

    class Penalty(keras.regularizers.Regularizer):
        def __call__(self, kernel):
            return factor * ops.sum(ops.relu(ops.sum(ops.square(kernel), axis=0)))

    return Penalty()


def build(factor: float):
    """Build the network: images (N, 28, 28, 1) to ten probabilities, 545,810 parameters.

    The loss includes a penalty on the two hidden kernels; biases and the last layer are free.
    """
    layers = keras.layers
    hidden = functools.partial(
        layers.Dense, activation="relu", kernel_regularizer=make_penalty(factor)
    )
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            hidden(500, name="hidden_1"),
            hidden(300, name="hidden_2"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="mlp_500_300",
    )


def main(parameters: CellParameters) -> None:
    cell = {"factor": parameters.factor, "replicate": parameters.replicate}
    network = functools.partial(build, parameters.factor)
    training = dataset.load("train")
    _, history, metrics = train_and_test(parameters, network, training, cell=cell.values())
    name = name_cell(**cell)
    results.write_csv(f"plots/sweep_l2/{name}.csv", history)
    results.write_json(f"metrics/sweep_l2/{name}.json", cell | metrics)


if __name__ == "__main__":
    CellParameters.run(main, __doc__)
