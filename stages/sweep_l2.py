"""Train one cell of the weight-decay sweep: one factor, one replicate (published problem 2d)."""

from pydantic import Field, field_validator

from common import data
from common.runtime import derive_seed, keras, set_up
from common.training import ClassifierParams, evaluate, schedule_rate, train


class CellParams(ClassifierParams):
    """Parameters of one cell: section sweep_l2.training, one factor and one replicate.

    DVC names the cell's files by the words it gives, so these are kept as words.
    """

    factor: str = Field(description="L2 factor on both hidden kernels, from 0 to 1")
    replicate: str = Field(description="number of a repetition, from 0")

    @field_validator("factor")
    @classmethod
    def _is_a_factor(cls, word: str) -> str:
        if not 0 <= float(word) <= 1:
            raise ValueError("a factor is from 0 to 1")
        return word

    @field_validator("replicate")
    @classmethod
    def _is_a_number(cls, word: str) -> str:
        if not word.isdecimal():
            raise ValueError("a replicate is a whole number from 0")
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
    cell = {"factor": float(params.factor), "replicate": int(params.replicate)}
    # Each cell has random numbers of its own.
    set_up(derive_seed(params.seed, *cell.values(), "weights"), params.threads)
    images, labels = data.load("train")
    model = build(images.shape[1:], labels.shape[1], cell["factor"])
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
        seed=derive_seed(params.seed, *cell.values(), "shuffling"),
    )
    last = history.iloc[-1].drop("epoch").to_dict()
    tested = evaluate(model, loss, metrics, data.load("test"))
    last |= {f"test_{name}": value for name, value in tested.items()}
    name = f"{params.factor}-{params.replicate}"
    data.write_csv(f"plots/sweep_l2/{name}.csv", history)
    data.write_json(
        f"metrics/sweep_l2/{name}.json", cell | last | {"parameters": model.count_params()}
    )


if __name__ == "__main__":
    main(CellParams.load("sweep_l2.training", "threads", arguments=("factor", "replicate")))
