"""How fast the networks train here: plain `model.fit`, this project's loop, and PyTorch.

Every measurement is a process of its own, and the ways take turns, so that a machine whose speed
drifts treats them alike. Prints medians; the accuracy after the same epochs stands beside every
time. PyTorch is measured where it is installed. Needs the processed data: `dvc repro preprocess`.
"""

import argparse
import contextlib
import importlib.util
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "stages"))

# Network: batch size. The recipes are the published ones.
NETWORKS = {"mlp": 128, "mlp_500_300": 128, "autoencoder": 64, "cnn": 128}
# Way: threads, 0 for as many as the machine has processors.
WAYS = {"fit": 0, "ours": 1, "ours, all cores": 0, "pytorch": 0}


def load(network: str, images: int):
    """Training and validation (inputs, targets) for `network`, `images` to train on."""
    from common import dataset
    from common.noise import salt_and_pepper

    pairs = []
    for split in ("train", "validation"):
        inputs, targets = (array[:images] for array in dataset.load(split))
        if network == "autoencoder":
            targets = inputs.reshape(-1, 784)
            inputs = salt_and_pepper(targets, 0.4, seed=1)
        pairs.append((inputs, targets))
    return pairs


def build(network: str):
    """Keras network, optimizer and loss, as the stage of that network has them."""
    import sweep_l2
    import train_ae
    import train_cnn
    import train_mlp
    from common.runtime import keras

    if network == "autoencoder":
        return train_ae.build(), keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
    model = {
        "mlp": train_mlp.build,
        "mlp_500_300": lambda: sweep_l2.build(1e-6),
        "cnn": lambda: train_cnn.build(0.5),
    }[network]()
    return model, keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy()


class EpochEnds:
    """A stream that notes when each line about an epoch is written to it."""

    def __init__(self):
        self.times = [time.perf_counter()]

    def write(self, text: str) -> None:
        if text.startswith("epoch "):
            self.times.append(time.perf_counter())

    def flush(self) -> None:
        pass

    def seconds(self) -> list[float]:
        return [after - before for before, after in itertools.pairwise(self.times)]


def time_keras(network: str, way: str, threads: int, images: int, epochs: int) -> dict:
    """Seconds of each epoch, validation included, and the last epoch's figures."""
    from common.runtime import keras, set_up
    from common.training import train

    if way == "fit":
        keras.utils.set_random_seed(1)
    else:
        set_up(1, threads)
    training, validation = load(network, images)
    model, optimizer, loss = build(network)
    batch_size, ends = NETWORKS[network], EpochEnds()
    if way == "fit":
        for layer in model.layers:  # the sweep's own penalty is made for the compiled epoch
            if getattr(layer, "kernel_regularizer", None):
                layer.kernel.regularizer = keras.regularizers.L2(layer.kernel_regularizer.l2)
        model.compile(optimizer, loss, metrics=[] if network == "autoencoder" else ["accuracy"])
        note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.write("epoch "))
        history = model.fit(
            *training,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=validation,
            callbacks=[note],
            verbose=0,
        ).history
        last = {name.replace("val_", "validation_"): values[-1] for name, values in history.items()}
    else:
        options = {"batch_size": batch_size, "epochs": epochs, "seed": 1}
        with contextlib.redirect_stdout(ends):
            jit_compile = network != "cnn"
            history = train(
                model, optimizer, loss, training, validation, **options, jit_compile=jit_compile
            )
        last = history.iloc[-1].to_dict()
    return {"seconds": ends.seconds(), "flop": flop(model) * len(training[0])} | last


def time_pytorch(network: str, images: int, epochs: int) -> dict:
    """The same in PyTorch, eager, with its own default of threads and of initial weights."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    relu = nn.ReLU
    model = {
        "mlp": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(784, 64), relu(), nn.Linear(64, 64), relu(), nn.Linear(64, 10)
        ),
        "mlp_500_300": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(784, 500), relu(), nn.Linear(500, 300), relu(),
            nn.Linear(300, 10),
        ),
        "autoencoder": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(784, 128), relu(), nn.Linear(128, 96), relu(),
            nn.Linear(96, 128), relu(), nn.Linear(128, 784),
        ),
        "cnn": lambda: nn.Sequential(
            nn.Conv2d(1, 32, 3), relu(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), relu(),
            nn.MaxPool2d(2), nn.Conv2d(64, 64, 3), relu(), nn.Dropout(0.5), nn.Flatten(),
            nn.Linear(576, 64), relu(), nn.Linear(64, 10),
        ),
    }[network]()  # fmt: skip
    autoencoder = network == "autoencoder"
    loss_of = nn.BCEWithLogitsLoss() if autoencoder else nn.CrossEntropyLoss()
    hidden = [model[1].weight, model[3].weight] if network == "mlp_500_300" else []
    optimizer = (
        torch.optim.Adam(model.parameters(), 0.001, eps=1e-7)
        if autoencoder
        else torch.optim.SGD(model.parameters(), 0.1)
    )
    (inputs, targets), (validation_inputs, validation_targets) = (
        (torch.from_numpy(x.reshape(-1, 1, 28, 28)), torch.from_numpy(y))
        for x, y in load(network, images)
    )
    ends = EpochEnds()
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(len(inputs)).split(NETWORKS[network]):
            optimizer.zero_grad()
            loss = loss_of(model(inputs[batch]), targets[batch])
            (loss + 1e-6 * sum(weight.square().sum() for weight in hidden)).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            outputs = torch.cat([model(part) for part in validation_inputs.split(1000)])
        ends.write("epoch ")
    right = (outputs.argmax(1) == validation_targets.argmax(1)).float().mean().item()
    return {
        "seconds": ends.seconds(),
        "validation_loss": loss_of(outputs, validation_targets).item(),
    } | ({} if autoencoder else {"validation_accuracy": right})


def flop(model) -> int:
    """Floating-point operations to train on one image: two for each multiplication with its
    addition, forward, and the same again for the gradients of weights and of inputs, the first
    layer's inputs excepted. Only the layers' products count."""
    forward = []
    for layer in model.layers:
        for part in getattr(layer, "layers", [layer]):
            if part.count_params():
                *_, inputs, outputs = part.kernel.shape
                taps = math.prod(part.kernel.shape[:-2])
                places = math.prod(part.output.shape[1:-1])
                forward.append(2 * inputs * outputs * taps * places)
    return 3 * sum(forward) - forward[0]


def matrix_product_rate(threads: int) -> dict:
    """Floating-point operations per second of a single-precision product of 1024 × 1024."""
    from common.runtime import set_up, tf

    set_up(1, threads)
    a = tf.random.normal((1024, 1024))
    seconds = []
    for _ in range(50):
        start = time.perf_counter()
        tf.matmul(a, a).numpy()
        seconds.append(time.perf_counter() - start)
    return {"rate": 2 * 1024**3 / statistics.median(seconds)}


def measure(*arguments) -> dict:
    """One measurement in a process of its own, with the peak of its memory in MiB."""
    command = [sys.executable, __file__, "--one", json.dumps(arguments)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure_here(kind: str, *arguments) -> dict:
    functions = {"keras": time_keras, "pytorch": time_pytorch, "rate": matrix_product_rate}
    result = functions[kind](*arguments)
    return result | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def compare(networks: list[str], images: int, epochs: int, repeats: int) -> list[dict]:
    """A row for each network and way: medians over `repeats` processes. The first epoch, which
    compiles, does not count for the seconds."""
    cores = os.cpu_count()
    ways = {way: threads or cores for way, threads in WAYS.items()}
    if not importlib.util.find_spec("torch"):
        del ways["pytorch"]
    rows = []
    for network in networks:
        runs = {way: [] for way in ways}
        rates = {threads: [] for threads in ways.values()}
        for _ in range(repeats):
            for threads, measured in rates.items():
                measured.append(measure("rate", threads)["rate"])
            for way, threads in ways.items():
                print(f"bench: {network}, {way}", file=sys.stderr, flush=True)
                arguments = (
                    ("pytorch", network, images, epochs)
                    if way == "pytorch"
                    else ("keras", network, way, threads, images, epochs)
                )
                runs[way].append(measure(*arguments))
        seconds = {
            way: [statistics.median(run["seconds"][1:]) for run in done]
            for way, done in runs.items()
        }
        operations = runs["ours"][0]["flop"]
        for way, threads in ways.items():
            middle = statistics.median(seconds[way])
            pairs = zip(seconds["fit"], seconds[way], strict=True)
            last = runs[way][0]
            rows.append(
                {
                    "network": network,
                    "way": way,
                    "threads": threads,
                    "seconds per epoch": middle,
                    "times as fast as fit": statistics.median(fit / own for fit, own in pairs),
                    "share of limit": operations / middle / statistics.median(rates[threads]),
                    "memory in MiB": statistics.median(run["memory"] for run in runs[way]),
                    "validation": last.get("validation_accuracy", last["validation_loss"]),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--images", type=int, default=60_000, help="to train on, in each epoch")
    parser.add_argument("--epochs", type=int, default=4, help="of each training; at least 2")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each figure")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs: at least 2, as the first does not count")
    os.chdir(ROOT)
    if arguments.one:
        print(json.dumps(measure_here(*arguments.one)))
        return
    rows = compare(arguments.networks, arguments.images, arguments.epochs, arguments.repeats)
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{arguments.images} images, {arguments.epochs} epochs, {arguments.repeats} repeats")
    print("| " + " | ".join(rows[0]) + " |")
    print("| " + " | ".join("---" for _ in rows[0]) + " |")
    for row in rows:
        cells = (
            f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()
        )
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
