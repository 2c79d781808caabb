"""Time the training of each network: `model.fit`, this project's loop, PyTorch if installed.

Prints medians over processes that take turns. Needs the processed data: dvc repro preprocess.
"""

import argparse
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
import timeit
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent / "stages"))

import sweep_l2
import train_ae
import train_cnn
import train_mlp
from common import dataset
from common.noise import salt_and_pepper
from common.runtime import keras, set_up, tf
from common.training import train

# Network: how Keras builds it, the widths of its dense layers, images in a batch.
NETWORKS = {
    "mlp": (train_mlp.build, [784, 64, 64, 10], 128),
    "mlp_500_300": (lambda: sweep_l2.build(1e-6), [784, 500, 300, 10], 128),
    "autoencoder": (train_ae.build, [784, 128, 96, 128, 784], 64),
    "cnn": (lambda: train_cnn.build(0.5), [576, 64, 10], 128),
}
WAYS = ["fit", "ours", "ours_all_cores"]  # compared with the first
if importlib.util.find_spec("torch"):
    WAYS.append("pytorch")


def load(network: str, images: int):
    """Load training and validation (inputs, targets), at most `images` each."""
    for split in "train", "validation":
        inputs, targets = (array[:images] for array in dataset.load(split))
        if network == "autoencoder":
            targets = inputs.reshape(-1, 784)
            inputs = salt_and_pepper(targets, 0.4, seed=1)
        yield inputs, targets


def train_keras(network: str, way: str, images: int, epochs: int) -> dict:
    """Train as the stage does, or with `fit`; then measure the limit of the processor."""
    if way == "fit":
        keras.utils.set_random_seed(1)
    else:
        set_up(1, 1 if way == "ours" else os.cpu_count())
    training, validation = load(network, images)
    model, batch_size = NETWORKS[network][0](), NETWORKS[network][2]
    optimizer, loss = keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy()
    if network == "autoencoder":
        optimizer, loss = keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
    options = {"batch_size": batch_size, "epochs": epochs}
    if way == "fit":
        model.compile(optimizer, loss, metrics=None if network == "autoencoder" else ["accuracy"])
        note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: print("epoch", flush=True))
        options |= {"validation_data": validation, "callbacks": [note], "verbose": 0}
        history = model.fit(*training, **options).history
        last = history.get("val_accuracy", history["val_loss"])[-1]
    else:
        last = train(model, optimizer, loss, training, validation, **options, seed=1).iloc[-1, -1]
    matrix = tf.random.normal((1024, 1024))
    seconds = timeit.repeat(lambda: tf.matmul(matrix, matrix).numpy(), number=1, repeat=50)
    return {"validation": last, "limit": 2 * 1024**3 / np.median(seconds)}


def train_pytorch(network: str, _, images: int, epochs: int) -> dict:
    """Train the same in PyTorch, with its own defaults and without weight decay."""
    torch = importlib.import_module("torch")
    torch.manual_seed(1)
    _, widths, batch_size = NETWORKS[network]
    nn, layers = torch.nn, [torch.nn.Flatten()]
    for pair in itertools.pairwise(widths):
        layers += [nn.Linear(*pair), nn.ReLU()]
    if network == "cnn":
        relu, pool = nn.ReLU(), nn.MaxPool2d(2)
        first = [nn.Unflatten(1, (1, 28)), nn.Conv2d(1, 32, 3), relu, pool, nn.Conv2d(32, 64, 3)]
        layers = [*first, relu, pool, nn.Conv2d(64, 64, 3), relu, nn.Dropout(0.5), *layers]
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
    return {"validation": (loss(outputs, wanted) if network == "autoencoder" else right).item()}


def count_operations(network: str) -> int:
    """Count the operations of training on one image, in the layers' products alone."""
    products = [inputs * outputs for inputs, outputs in itertools.pairwise(NETWORKS[network][1])]
    if network == "cnn":
        products = [26**2 * 9 * 32, 11**2 * 9 * 32 * 64, 3**2 * 9 * 64 * 64, *products]
    # A product and its sum are two, done forward, for the gradients of weights, and of inputs.
    return 6 * sum(products) - 2 * products[0]


def measure(*arguments) -> dict:
    """Train in a process of its own; time the epochs without the first, which compiles."""
    command = [sys.executable, __file__, "--one", json.dumps(arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        lines = [(time.perf_counter(), line) for line in process.stdout]
    if process.returncode:
        sys.exit(process.returncode)
    *ends, (_, result) = lines
    return json.loads(result) | {"seconds": np.median(np.diff([end for end, _ in ends]))}


def compare(networks: list[str], images: int, epochs: int, repeats: int) -> pd.DataFrame:
    """Measure every network in every way; return the medians over `repeats`."""
    rows, fit = [], {}
    for network, _, way in itertools.product(networks, range(repeats), WAYS):
        print(f"bench: {network}, {way}", file=sys.stderr, flush=True)
        row = {"network": network, "way": way} | measure(network, way, images, epochs)
        fit = row if way == "fit" else fit
        rate = count_operations(network) * images / row["seconds"]
        row["times_as_fast"] = fit["seconds"] / row["seconds"]
        row["share_of_limit"] = rate / row.get("limit", fit["limit"])
        rows.append(row)
    return pd.DataFrame(rows).groupby(["network", "way"], sort=False).median().reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--images", type=int, default=60_000, help="to train on in each epoch")
    parser.add_argument("--epochs", type=int, default=4, help="of each training, at least 2")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each figure")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = vars(parser.parse_args())
    if one := options.pop("one"):
        train_one = train_pytorch if one[1] == "pytorch" else train_keras
        print(json.dumps(train_one(*one)))
    else:
        print(compare(**options).to_string(index=False, float_format="%.4g"))


if __name__ == "__main__":
    main()
