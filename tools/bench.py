"""Time an epoch of each network: `fit`, the best `fit`, and this project's loop.

Prints medians over processes that take turns. Needs the processed data: dvc repro preprocess.
"""

import argparse
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
EPOCHS = 4  # of each training; the first, which compiles, does not count
# Options of `compile`, of which the best for each network is the best `fit`.
TUNED = [
    {"steps_per_execution": steps, "jit_compile": jit}
    for steps, jit in itertools.product([16, "epoch"], [True, False])
]


def load(network: str, split: str, images: int) -> tuple:
    """Load at most `images` inputs and targets."""
    inputs, targets = (array[:images] for array in data.load(split))
    if network == "autoencoder":
        targets = inputs.reshape(len(inputs), -1)
        inputs = salt_and_pepper(targets, 0.4, seed=1)
    return inputs, targets


def train_once(network: str, images: int, threads: int, **tuned) -> None:
    """Train with the loop and `threads`, or with `fit` if that is 0."""
    if threads:
        set_up(1, threads)
    training, validation = load(network, "train", images), load(network, "validation", images)
    build, batch_size = NETWORKS[network]
    if tuned.get("steps_per_execution") == "epoch":
        tuned["steps_per_execution"] = -(-len(training[0]) // batch_size)
    model = build()
    if network == "autoencoder":
        model.compile("adam", "binary_crossentropy", **tuned)
    else:
        sgd = keras.optimizers.SGD(0.1)
        model.compile(sgd, "categorical_crossentropy", metrics=["accuracy"], **tuned)
    if threads:
        train(model, training, validation, batch_size=batch_size, epochs=EPOCHS, seed=1)
        return
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: print("epoch", flush=True))
    options = {"batch_size": batch_size, "epochs": EPOCHS, "verbose": 0, "callbacks": [note]}
    model.fit(*training, validation_data=validation, **options)


def measure(network: str, images: int, options: dict) -> float:
    """Train in a process of its own; return the median seconds of an epoch."""
    print(f"bench: {network} {options}", file=sys.stderr, flush=True)
    task = json.dumps([network, images, options])
    with subprocess.Popen([sys.executable, __file__, "--one", task], stdout=-1) as process:
        ends = [time.perf_counter() for line in process.stdout if line.startswith(b"epoch")]
    if process.returncode:
        sys.exit(process.returncode)
    return float(np.median(np.diff(ends)))


def compare(network: str, images: int, repeats: int) -> pd.DataFrame:
    """Measure a network in every way; return medians over `repeats`, and × `fit`."""
    fits = [{"threads": 0} | tuned for tuned in TUNED]
    best = min(fits, key=lambda options: measure(network, images, options))
    ways = {"fit": {"threads": 0}, f"best fit: {best}": best}
    ways |= {"loop, 1 thread": {"threads": 1}, "loop, all cores": {"threads": os.cpu_count()}}
    turns = [
        {way: measure(network, images, options) for way, options in ways.items()}
        for _ in range(repeats)
    ]
    seconds = pd.DataFrame(turns).median()
    return pd.DataFrame({"seconds": seconds, "times_fit": seconds["fit"] / seconds})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--images", type=int, default=60_000, help="to train on in each epoch")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each figure")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.chdir(Path(__file__).parent.parent)
    if options.one:
        network, images, way = options.one
        train_once(network, images, **way)
        return
    for network in options.networks:
        table = compare(network, options.images, options.repeats)
        print(f"{network}\n{table.to_string(float_format='%.4g')}\n", flush=True)


if __name__ == "__main__":
    main()
