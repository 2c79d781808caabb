"""Time an epoch of each network, trained in several ways.

The ways are `fit`, `fit` tuned, this project's loop, and PyTorch if installed. Prints medians over
processes that take turns. Needs the processed data: dvc repro preprocess.
"""

import argparse
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent / "stages"))

import sweep_l2
import train_ae
import train_cnn
import train_mlp
from common import data
from common.noise import salt_and_pepper
from common.runtime import keras, set_up
from common.training import train

SHAPE = (28, 28, 1)
NETWORKS = {  # how Keras builds it, images in a batch
    "mlp": (lambda: train_mlp.build(SHAPE, 10), 128),
    "mlp_500_300": (lambda: sweep_l2.build(SHAPE, 10, 1e-6), 128),
    "autoencoder": (lambda: train_ae.build(SHAPE), 64),
    "cnn": (lambda: train_cnn.build(SHAPE, 10, 0.5), 128),
}
# Options of `compile`, of which the best for each network is "fit, tuned".
TUNED = [
    {"steps_per_execution": steps, "jit_compile": jit}
    for steps, jit in itertools.product([16, "epoch"], [True, False])
]
WAYS = {"loop, 1 thread": {"threads": 1}, "loop, all cores": {"threads": os.cpu_count()}}
if importlib.util.find_spec("torch"):
    WAYS["PyTorch"] = {"torch": True}


def load(network: str, images: int):
    """Load (inputs, targets) for training and validation, at most `images` each."""
    for split in "train", "validation":
        inputs, targets = (array[:images] for array in data.load(split))
        if network == "autoencoder":
            targets = inputs.reshape(len(inputs), -1)
            inputs = salt_and_pepper(targets, 0.4, seed=1)
        yield inputs, targets


def train_keras(network: str, images: int, epochs: int, threads: int = 0, **tuned) -> float:
    """Train with the loop, or with `fit`; return the last metric."""
    if threads:
        set_up(1, threads)
    training, validation = load(network, images)
    build, batch_size = NETWORKS[network]
    model = build()
    optimizer, loss = keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy()
    metrics = {"accuracy": keras.metrics.categorical_accuracy}
    if network == "autoencoder":
        optimizer, loss, metrics = keras.optimizers.Adam(), keras.losses.BinaryCrossentropy(), {}
    options = {"batch_size": batch_size, "epochs": epochs}
    if threads:
        history = train(model, optimizer, loss, metrics, training, validation, **options, seed=1)
        return history.iloc[-1, -1]
    if tuned.get("steps_per_execution") == "epoch":
        tuned["steps_per_execution"] = -(-images // batch_size)
    model.compile(optimizer, loss, metrics=[*metrics], **tuned)
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: print("epoch", flush=True))
    options |= {"validation_data": validation, "callbacks": [note], "verbose": 0}
    history = model.fit(*training, **options).history
    return history.get("val_accuracy", history["val_loss"])[-1]


def train_torch(network: str, images: int, epochs: int, **_) -> float:
    """Train in PyTorch, with its own defaults and without weight decay."""
    torch = importlib.import_module("torch")
    nn = torch.nn
    build, batch_size = NETWORKS[network]
    layers = [nn.Flatten()]
    if network == "cnn":
        relu, pool = nn.ReLU(), nn.MaxPool2d(2)
        first = [nn.Unflatten(1, (1, 28)), nn.Conv2d(1, 32, 3), relu, pool, nn.Conv2d(32, 64, 3)]
        layers = [*first, relu, pool, nn.Conv2d(64, 64, 3), relu, nn.Dropout(0.5), *layers]
    for weights in build().weights:
        if len(weights.shape) == 2:  # of a dense layer
            layers += [nn.Linear(*weights.shape), nn.ReLU()]
    model, loss = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    if network == "autoencoder":
        loss, optimizer = nn.BCEWithLogitsLoss(), torch.optim.Adam(model.parameters())
    arrays = itertools.chain(*load(network, images))
    inputs, targets, validation, wanted = (torch.from_numpy(array.squeeze()) for array in arrays)
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(len(inputs)).split(batch_size):
            optimizer.zero_grad()
            loss(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            outputs = torch.cat([model(part) for part in validation.split(1000)])
        print("epoch", flush=True)
    right = (outputs.argmax(1) == wanted.argmax(1)).float().mean()
    return (loss(outputs, wanted) if network == "autoencoder" else right).item()


def measure(network: str, images: int, epochs: int, way: dict) -> tuple[float, float]:
    """Train in a process of its own.

    Returns the seconds of an epoch, and the last metric. The first epoch, which compiles, does not
    count.
    """
    print(f"bench: {network} {way}", file=sys.stderr, flush=True)
    task = json.dumps([network, images, epochs, way])
    with subprocess.Popen([sys.executable, __file__, "--one", task], stdout=-1) as process:
        lines = [(time.perf_counter(), line) for line in process.stdout]
    if process.returncode:
        sys.exit(process.returncode)
    *ends, (_, last) = lines
    return float(np.median(np.diff([end for end, _ in ends]))), float(last)


def compare(networks: list[str], images: int, epochs: int, repeats: int) -> pd.DataFrame:
    """Measure every network in every way; return medians over `repeats`."""
    rows = []
    for network in networks:
        size = (network, images, epochs)
        best = min(TUNED, key=lambda tuned: measure(*size, tuned)[0])
        name = " ".join(f"{option}={value}" for option, value in best.items())
        ways = {"fit": {}, f"fit, tuned: {name}": best} | WAYS
        for _, (way, options) in itertools.product(range(repeats), ways.items()):
            seconds, last = measure(*size, options)
            rows.append({"network": network, "way": way, "seconds": seconds, "validation": last})
    table = pd.DataFrame(rows).groupby(["network", "way"], sort=False).median().reset_index()
    fit = table[table.way == "fit"].set_index("network").seconds
    return table.assign(times_fit=table.network.map(fit) / table.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--images", type=int, default=60_000, help="to train on in each epoch")
    parser.add_argument("--epochs", type=int, default=4, help="of each training, at least 2")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each figure")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = vars(parser.parse_args())
    os.chdir(Path(__file__).parent.parent)
    if one := options.pop("one"):
        network, images, epochs, way = one
        training = train_torch if way.pop("torch", False) else train_keras
        print(training(network, images, epochs, **way))
    else:
        print(compare(**options).to_string(index=False, float_format="%.4g"))


if __name__ == "__main__":
    main()
