"""Train one cell of the weight-decay sweep: one factor, one replicate (published problem 2d)."""

from typing import ClassVar

from pydantic import Field, field_validator

from common import data
from common.runtime import derive_seed, keras, set_up
from common.training import ClassifierParams, make_sgd, train_classifier


class CellParams(ClassifierParams):
    """Parameters of one cell: section sweep_l2.training, one factor and one replicate.

    DVC names the cell's files by the words it gives, so these are kept as words.
    """

    section: ClassVar = "sweep_l2.training"
    arguments: ClassVar = ("factor", "replicate")

    factor: str = Field(description="L2 factor on both hidden kernels, from 0 to 1")
    replicate: str = Field(pattern=r"^\d+$", description="number of a repetition, from 0")

    @field_validator("factor")
    @classmethod
    def _is_a_factor(cls, word: str) -> str:
        if not 0 <= float(word) <= 1:
            raise ValueError("a factor is from 0 to 1")
        return word


class QuickL2(keras.regularizers.Regularizer):
    """Penalise a kernel by factor · Σ w², as keras.regularizers.L2 does, but summed by columns.

    XLA adds up a whole matrix one number after the other, which takes a sixth of the epoch. The
    relu, of sums that are never negative, keeps XLA from merging the two sums.
    """

    def __init__(self, factor: float):
        self.factor = factor

    def __call__(self, kernel):
        columns = keras.ops.sum(keras.ops.square(kernel), axis=0)
        return self.factor * keras.ops.sum(keras.ops.relu(columns))


def build(shape: tuple[int, ...], classes: int, factor: float):
    """Build the network: images (N, *shape) to the probabilities of `classes`.

    The loss includes a penalty on the two hidden kernels; biases and the last layer are free.
    """
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            layers.Dense(500, "relu", kernel_regularizer=QuickL2(factor), name="hidden_1"),
            layers.Dense(300, "relu", kernel_regularizer=QuickL2(factor), name="hidden_2"),
            layers.Dense(classes, "softmax", name="digit"),
        ],
        name="mlp_500_300",
    )


def main(params: CellParams) -> None:
    factor, replicate = float(params.factor), int(params.replicate)
    cell = (params.seed, factor, replicate)  # each cell has random numbers of its own
    set_up(derive_seed(*cell, "weights"), params.threads)
    images, labels = data.load("train")
    model = build(images.shape[1:], labels.shape[1], factor)
    model.compile(make_sgd(params, len(images)), "categorical_crossentropy", metrics=["accuracy"])
    seed = derive_seed(*cell, "shuffling")
    history, tested = train_classifier(model, (images, labels), params, seed=seed)
    last = history.iloc[-1].drop("epoch").to_dict()
    results = {"factor": factor, "replicate": replicate} | last | tested
    name = f"{params.factor}-{params.replicate}"
    data.write_csv(f"plots/sweep_l2/{name}.csv", history)
    data.write_json(f"metrics/sweep_l2/{name}.json", results | {"parameters": model.count_params()})


if __name__ == "__main__":
    main(CellParams.load())
