"""The trained networks: read from their files without Keras, packed for the browser."""

import base64
import io
import json
import math
import re
import sys
import zipfile
from collections import Counter
from typing import NamedTuple

import h5py
import numpy as np

# The shape that each kind of layer makes, from its input's and its biases' shape.
SHAPES = {
    "Dense": lambda shape, biases: biases,
    "Conv2D": lambda shape, biases: (shape[0] - 2, shape[1] - 2, *biases),
    "MaxPooling2D": lambda shape, _: (shape[0] // 2, shape[1] // 2, shape[2]),
    "Flatten": lambda shape, _: (math.prod(shape),),
    "Dropout": lambda shape, _: shape,
}


class Layer(NamedTuple):
    name: str
    kind: str
    shape: tuple  # of the output, without the batch
    activation: str
    weights: list[np.ndarray]
    part: str  # the nested network that it belongs to, or ""


def read_network(path) -> list[Layer]:
    """Read the layers of a .keras file.

    Convolutions are 3 × 3 without padding, pooling is 2 × 2. Ends the process with one line for
    another kind of layer, or where there is no such file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            settings = json.loads(file.read("config.json"))["config"]
            stored = io.BytesIO(file.read("model.weights.h5"))
        with h5py.File(stored) as weights:
            return _read_layers(settings, weights)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        sys.exit(f"error: {path}: cannot be read as a network ({error}); restore it: dvc checkout")


def _read_layers(settings: dict, stored: h5py.Group, part: str = "") -> list[Layer]:
    layers, seen = [], Counter()
    shape = tuple(settings["layers"][0]["config"]["batch_shape"][1:])
    for entry in settings["layers"][1:]:
        kind, inner = entry["class_name"], entry["config"]
        # Keras names the weights after the layer's kind: dense, dense_1, max_pooling2d.
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", kind).lower()
        group = stored["layers"][f"{name}_{seen[name]}" if seen[name] else name]
        seen[name] += 1
        if kind == "Sequential":
            layers += _read_layers(inner, group, inner["name"])
        else:
            geometry = inner.get("kernel_size", [3, 3]), inner.get("padding", "valid")
            if kind not in SHAPES or geometry != ([3, 3], "valid"):
                sys.exit(
                    f"error: the report cannot show the layer {inner['name']} ({kind}); "
                    "add its kind to stages/page/networks.py and playground.js"
                )
            weights = [group["vars"][key][()] for key in sorted(group["vars"])]
            made = SHAPES[kind](shape, weights[-1].shape if weights else ())
            activation = inner.get("activation", "linear")
            layers.append(Layer(inner["name"], kind, made, activation, weights, part))
        shape = layers[-1].shape
    return layers


def playground(classifiers: dict[str, list], denoiser: list, images, labels) -> dict:
    """Collect what the playground needs: networks, and the first image of each digit.

    `classifiers` maps the names shown to networks; `images` (N, 28, 28, 1) in [0, 1] and one-hot
    `labels` (N, 10) are the test images. Weights become float16, pixels bytes, both in base64.
    """
    digits, first = np.unique(labels.argmax(axis=1), return_index=True)
    pixels = (images[first] * 255).round()
    return {
        "networks": {name: _pack(network) for name, network in classifiers.items()},
        "denoiser": _pack(denoiser),
        "samples": [
            {"digit": int(digit), "pixels": _encode(image, "u1")}
            for digit, image in zip(digits, pixels, strict=True)
        ],
    }


def _pack(network: list[Layer]) -> dict:
    arrays = [array.ravel() for layer in network for array in layer.weights]
    layers = [
        layer._asdict() | {"weights": [array.size for array in layer.weights]} for layer in network
    ]
    return {"layers": layers, "weights": _encode(np.concatenate(arrays), "<f2")}


def _encode(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode()
