"""What the three classifiers share: their parameters, their training and their test."""

from common import dataset
from common.parameters import number
from common.runtime import derive_seed, keras, set_up
from common.training import TrainingParameters, evaluate, schedule_rate, train


class ClassifierParameters(TrainingParameters):
    """Hold what every classifier needs."""

    momentum: number("share of each step that the next one repeats (Nesterov's)", ge=0, lt=1)


def train_and_test(parameters, build, training, *, cell=(), augment=None):
    """Train and test a classifier; return the network, its history and its metrics.

    `build` makes the network. `cell`, a sequence, tells a cell of the sweep from the others, so
    that each has random numbers of its own. `training` and `augment` are those of `train`. The
    metrics are those of the last epoch and of the test images.
    """
    set_up(derive_seed(parameters.seed, *cell, "weights"), parameters.threads)
    model = build()
    loss = keras.losses.CategoricalCrossentropy()
    rate = schedule_rate(parameters, len(training[0]))
    history = train(
        model,
        keras.optimizers.SGD(rate, parameters.momentum, nesterov=True),
        loss,
        training,
        dataset.load("validation"),
        batch_size=parameters.batch_size,
        epochs=parameters.epochs,
        seed=derive_seed(parameters.seed, *cell, "shuffling"),
        augment=augment,
    )
    metrics = history.iloc[-1].drop("epoch").to_dict()
    tested = evaluate(model, loss, dataset.load("test"))
    metrics |= {f"test_{name}": value for name, value in tested.items()}
    return model, history, metrics | {"parameters": model.count_params()}
