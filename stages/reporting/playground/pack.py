"""Networks and test images, packed for a browser to compute with."""

import base64
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from common.runtime import keras

LAYERS = keras.layers

# Layers that leave values as they are: they change the shape, or act in training only.
IDENTITY = (
    LAYERS.InputLayer,
    LAYERS.Flatten,
    LAYERS.Reshape,
    LAYERS.Dropout,
    LAYERS.SpatialDropout2D,
    LAYERS.GaussianNoise,
    LAYERS.Activation,  # its function comes as a step of its own, as of every layer
)

# The activations that networks.js knows, with Keras's default parameters.
ACTIVATIONS = {name: {"does": name} for name in ("elu", "silu", "tanh", "sigmoid", "softmax")}
ACTIVATIONS["relu"] = {"does": "relu", "slope": 0}
ACTIVATIONS["leaky_relu"] = {"does": "relu", "slope": 0.2}

# Settings of layers that networks.js can compute with one value only.
FIXED = {
    "data_format": "channels_last",
    "dilation_rate": (1, 1),
    "groups": 1,
    "interpolation": "nearest",
    "max_value": None,
    "threshold": 0,
}

DENOISER = "the autoencoder"
READING_BYTES = 45_000  # of test images for the reading test; 60 kB in base64
AFTER = " after denoising"  # ends the name of a curve whose network reads denoised images


class LeftOutError(Exception):
    """Say why the playground leaves out a network."""


def pack_playground(
    networks: dict[str, keras.Model],
    denoiser: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    dataset: str = "MNIST",
) -> dict:
    """Collect what the playground needs: networks and an image of each class.

    `networks` maps the names shown to classifiers, which answer with a share for each class.
    `images` (N, side, side, 1) in [0, 1] and one-hot `labels` (N, K) are the test images,
    `classes` the K names of the classes. Weights become float16, pixels bytes, both in base64.
    A network that networks.js cannot compute is left out; "left_out" has a sentence for each.
    """
    present, first = np.unique(labels.argmax(axis=1), return_index=True)
    samples = images[first]
    packed, left_out = {}, []
    for name, network in {**networks, DENOISER: denoiser}.items():
        try:
            shares = len(classes) if name in networks else None
            packed[name] = pack_network(network, samples, shares)
        except LeftOutError as reason:
            left_out.append(f"The playground leaves out {name}: {reason}.")
    return {
        "dataset": dataset,
        "classes": list(classes),
        "side": images.shape[1],
        "denoiser": packed.pop(DENOISER, None),
        "networks": packed,
        "samples": [
            {"name": classes[index], "pixels": _encode_pixels(sample)}
            for index, sample in zip(present, samples, strict=True)
        ],
        "left_out": left_out,
    }


def pack_reading(
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    curves: dict[str, pd.Series],
    item: str = "digit",
) -> dict:
    """Collect what the reading test needs: test images and the networks' curves.

    Arrays and `classes` are as for `pack_playground`; as many images are taken, as evenly over the
    classes, as fit into 60 kB. `curves` maps the names shown to rates on noisy images, indexed by
    noise level; the reader is asked at the levels of the first. A curve has the name of a network
    of the playground, which then reads the reader's images too, with " after denoising" or without.
    """
    count = max(READING_BYTES // images[0].size, 1)
    numbers = labels.argmax(axis=1)
    order = np.random.default_rng(0).permutation(len(numbers))
    rounds = pd.Series(numbers[order]).groupby(numbers[order]).cumcount()
    chosen = order[rounds.argsort(kind="stable")[:count]]
    return {
        "item": item,
        "classes": list(classes),
        "side": images.shape[1],
        "images": _encode_pixels(images[chosen]),
        "labels": numbers[chosen].tolist(),
        "readers": [
            {
                "name": name,
                "network": name.removesuffix(AFTER),
                "denoises": name.endswith(AFTER),
                "curve": list(curve.sort_index().items()),
            }
            for name, curve in curves.items()
        ],
    }


def pack_network(network: keras.Model, samples: np.ndarray, shares: int | None = None) -> dict:
    """Pack a network, and what Keras answers to one of the samples.

    A classifier must answer with so many `shares`, together 1; a denoiser, None, with an image.
    Raises LeftOutError where it does not, and where networks.js cannot compute a layer.
    """
    shape = network.input_shape[1:]
    if None in shape:
        shape = samples.shape[1:]
    if math.prod(shape) != samples[0].size:
        raise LeftOutError("it takes images of another size")
    steps, _ = _translate(network, shape)
    answers = keras.ops.convert_to_numpy(network(samples.reshape(-1, *shape), training=False))
    answers = answers.reshape(len(samples), -1)
    if shares is None and answers.shape[1] != samples[0].size:
        raise LeftOutError("its answers are no images of the same size")
    if shares and (
        answers.shape[1] != shares or not np.allclose(answers.sum(axis=1), 1, atol=1e-3)
    ):
        raise LeftOutError(f"its answers are not {shares} shares that are 1 together")
    # The sample that the network is least sure of: there a fault shows most.
    hardest = int(answers.max(axis=1).argmin())
    return {"steps": steps, "sample": hardest, "answer": _encode_half(answers[hardest])}


def _translate(layer: keras.layers.Layer, shape: tuple) -> tuple[list[dict], tuple]:
    """Translate a layer or a network into the steps of networks.js.

    `shape` is its input's, without the batch. Returns the steps and the output's shape; a step has
    the shapes of its input and output as height, width and channels.
    """
    if isinstance(layer, keras.Sequential) or type(layer).__name__ == "Functional":
        steps = []
        for part in getattr(layer, "operations", layer.layers):
            made, shape = _translate(part, shape)
            steps += made
        return steps, shape
    if isinstance(layer, LAYERS.InputLayer):
        return [], shape
    kind = type(layer)
    about = f"it cannot compute the layer {layer.name} ({kind.__name__})"
    if kind not in (*IDENTITY, *TRANSLATIONS):
        raise LeftOutError(about)
    settings = layer.get_config()
    # The last axis has two numbers.
    fixed = FIXED | {"axis": -1 if settings.get("axis") == -1 else len(shape)}
    for name, value in fixed.items():
        if settings.get(name, value) != value:
            raise LeftOutError(f"{about} with {name} = {settings[name]}")
    output = tuple(layer.compute_output_shape((None, *shape))[1:])
    if max(len(shape), len(output)) > 3:
        raise LeftOutError(f"{about} with {len(output)} axes")
    sides = {"input": [1] * (3 - len(shape)) + [*shape]}
    sides["output"] = [1] * (3 - len(output)) + [*output]
    steps = []
    if kind in TRANSLATIONS:
        step = sides | TRANSLATIONS[kind](settings, layer.get_weights(), sides)
        steps.append(step | {"weights": [_encode_half(array) for array in step["weights"]]})
    activation = settings.get("activation", "linear")
    if activation != "linear":
        # Keras writes an activation that is a layer or a user's function as a dictionary.
        name = activation if isinstance(activation, str) else activation["class_name"]
        if name not in ACTIVATIONS:
            raise LeftOutError(f"{about} with the activation {name}")
        steps.append({"output": sides["output"], **ACTIVATIONS[name], "weights": []})
    return steps, output


def _window(does: str, over: str = "input", size: Sequence | None = None):
    """Make the translation of a layer with a window that slides `over` its input or output.

    `before` is how far it begins above and left of that. TensorFlow's padding "same" puts there the
    smaller half of what the window sees outside; with "valid" it sees nothing outside.
    """

    def translate(settings: dict, weights: list, sides: dict) -> dict:
        given, made = sides["input"], sides["output"]
        if over == "output":
            given, made = made, given
            # Inputs before outputs, as in a convolution.
            weights = [array.swapaxes(2, 3) if array.ndim == 4 else array for array in weights]
        sizes = (settings.get(name) for name in ("kernel_size", "pool_size", "size"))
        window = size or next(filter(None, sizes), given[:2])  # global pooling sees everything
        strides = settings.get("strides", window)
        axes = zip(window, strides, given[:2], made[:2], strict=True)
        outside = [(count - 1) * step + length - side for length, step, side, count in axes]
        before = [max(pixels, 0) // 2 for pixels in outside]
        step = {"does": does, "over": over, "size": window, "strides": strides, "before": before}
        return step | {"weights": weights}

    return translate


def _batch_normalization(settings: dict, weights: list, sides: dict) -> dict:
    """Translate into a factor and a summand for each channel."""
    *others, mean, variance = weights
    factor = 1 / np.sqrt(variance + settings["epsilon"])
    if settings["scale"]:
        factor = factor * others.pop(0)
    summand = -mean * factor
    if settings["center"]:
        summand = summand + others.pop(0)
    return {"does": "scale", "weights": [factor, summand]}


def _relu(settings: dict, weights: list, sides: dict) -> dict:
    return {"does": "relu", "slope": settings["negative_slope"], "weights": []}


# A function of a layer's configuration, weights, and input's and output's shapes.
TRANSLATIONS = {
    LAYERS.Dense: _window("weigh", size=(1, 1)),  # a convolution over the last axis
    LAYERS.Conv2D: _window("weigh"),
    LAYERS.Conv2DTranspose: _window("weigh", over="output"),
    LAYERS.MaxPooling2D: _window("largest"),
    LAYERS.AveragePooling2D: _window("mean"),
    LAYERS.GlobalAveragePooling2D: _window("mean"),
    LAYERS.UpSampling2D: _window("copy", over="output"),
    LAYERS.BatchNormalization: _batch_normalization,
    LAYERS.ReLU: _relu,
    LAYERS.LeakyReLU: _relu,
}


def _encode_half(values: np.ndarray) -> str:
    if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
        raise LeftOutError("it has numbers that are too large for half precision")
    return _encode(values.astype("<f2"))


def _encode_pixels(images: np.ndarray) -> str:
    return _encode((images * 255).round().astype("u1"))


def _encode(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
