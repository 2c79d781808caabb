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
ACTIVATIONS = {
    "relu": {"does": "relu", "slope": 0},
    "leaky_relu": {"does": "relu", "slope": 0.2},
    "elu": {"does": "elu"},
    "gelu": {"does": "gelu"},
    "silu": {"does": "silu"},
    "tanh": {"does": "tanh"},
    "sigmoid": {"does": "sigmoid"},
    "softmax": {"does": "softmax"},
}

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

    `shares` is the number of shares, together 1, that a classifier must answer with.
    Raises LeftOutError where it does not, and where networks.js cannot compute a layer.
    """
    shape = network.input_shape[1:]
    if None in shape:
        shape = samples.shape[1:]
    if math.prod(shape) != samples[0].size:
        raise LeftOutError("it takes images of another size")
    steps, _ = _translate(network, shape)
    weights = [array.ravel() for step in steps for array in step.get("weights", [])]
    for step in steps:
        step["weights"] = [array.size for array in step.get("weights", [])]
    answers = keras.ops.convert_to_numpy(network(samples.reshape(-1, *shape), training=False))
    answers = answers.reshape(len(samples), -1)
    if shares and not (
        answers.shape[1] == shares and np.allclose(answers.sum(axis=1), 1, atol=1e-3)
    ):
        raise LeftOutError(f"its answers are not {shares} shares that are 1 together")
    if not shares and answers.shape[1] != samples[0].size:
        raise LeftOutError("its answer is no image of the same size")
    packed = np.concatenate([np.zeros(0), *weights])
    if np.abs(packed).max(initial=0) > np.finfo(np.float16).max:
        raise LeftOutError("its weights are too large for half precision")
    # The sample that the network is least sure of: there a fault shows most.
    hardest = int(answers.max(axis=1).argmin())
    return {
        "steps": steps,
        "weights": _encode(packed.astype("<f2")),
        "sample": hardest,
        "answer": _encode(answers[hardest].astype("<f2")),
    }


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
    if kind not in (*IDENTITY, *TRANSLATIONS):
        raise LeftOutError(f"it cannot compute the layer {layer.name} ({kind.__name__})")
    settings = layer.get_config()
    output = tuple(layer.compute_output_shape((None, *shape))[1:])
    _check_settings(layer, settings, shape)
    sides = {"input": _three(shape), "output": _three(output)}
    if len(sides["input"]) > 3 or len(sides["output"]) > 3:
        raise LeftOutError(f"it cannot compute the layer {layer.name} with {len(output)} axes")
    steps = []
    if kind in TRANSLATIONS:
        steps.append(sides | TRANSLATIONS[kind](settings, layer.get_weights(), sides))
    if settings.get("activation", "linear") != "linear":
        function = _activation(layer, settings["activation"])
        steps.append({"input": sides["output"], "output": sides["output"]} | function)
    return steps, output


def _check_settings(layer: keras.layers.Layer, settings: dict, shape: tuple) -> None:
    # The last axis has two numbers.
    fixed = FIXED | {"axis": -1 if settings.get("axis") == -1 else len(shape)}
    for name, value in fixed.items():
        if settings.get(name, value) != value:
            kind = type(layer).__name__
            with_what = f"with {name} = {settings[name]}"
            raise LeftOutError(f"it cannot compute the layer {layer.name} ({kind}) {with_what}")


def _three(shape: tuple) -> list[int]:
    """Give `shape` as height, width and channels."""
    return [1] * (3 - len(shape)) + list(shape)


def _activation(layer: keras.layers.Layer, activation: str | dict) -> dict:
    # Keras writes an activation that is a layer or a user's function as a dictionary.
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    name = activation["class_name"] if isinstance(activation, dict) else activation
    raise LeftOutError(f"it cannot compute the activation {name} of the layer {layer.name}")


def _window(size: Sequence, strides: Sequence, given: list, made: list) -> dict:
    """Describe a window that slides over an image.

    The image has the shape `given`, and what the window makes of it the shape `made`. `before` is
    how far it begins above and left of the image. TensorFlow's padding "same" puts there the
    smaller half of what the window sees outside; with "valid" it sees nothing outside.
    """
    axes = zip(size, strides, given[:2], made[:2], strict=True)
    outside = [(count - 1) * step + length - side for length, step, side, count in axes]
    return {
        "size": list(size),
        "strides": list(strides),
        "before": [max(pixels, 0) // 2 for pixels in outside],
    }


def _dense(settings: dict, weights: list, sides: dict) -> dict:
    """Translate into a convolution of size 1, over the last axis."""
    return _convolution({"kernel_size": (1, 1), "strides": (1, 1)}, weights, sides)


def _convolution(settings: dict, weights: list, sides: dict) -> dict:
    window = settings["kernel_size"], settings["strides"], sides["input"], sides["output"]
    return {"does": "convolve", **_window(*window), "weights": weights}


def _transposed(settings: dict, weights: list, sides: dict) -> dict:
    """Translate a transposed convolution: its window slides over the output."""
    window = settings["kernel_size"], settings["strides"], sides["output"], sides["input"]
    kernel = weights[0].transpose(0, 1, 3, 2)  # inputs before outputs, as in a convolution
    return {"does": "spread", **_window(*window), "weights": [kernel, *weights[1:]]}


def _pooling(does: str):
    def translate(settings: dict, weights: list, sides: dict) -> dict:
        size = settings.get("pool_size", sides["input"][:2])  # global pooling sees everything
        strides = settings.get("strides", size)
        return {"does": does, **_window(size, strides, sides["input"], sides["output"])}

    return translate


def _upsampling(settings: dict, weights: list, sides: dict) -> dict:
    return {"does": "copy", "size": settings["size"], "strides": settings["size"], "before": [0, 0]}


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
    return {"does": "relu", "slope": settings["negative_slope"]}


# A function of a layer's configuration, weights, and input's and output's shapes.
TRANSLATIONS = {
    LAYERS.Dense: _dense,
    LAYERS.Conv2D: _convolution,
    LAYERS.Conv2DTranspose: _transposed,
    LAYERS.MaxPooling2D: _pooling("largest"),
    LAYERS.AveragePooling2D: _pooling("mean"),
    LAYERS.GlobalAveragePooling2D: _pooling("mean"),
    LAYERS.UpSampling2D: _upsampling,
    LAYERS.BatchNormalization: _batch_normalization,
    LAYERS.ReLU: _relu,
    LAYERS.LeakyReLU: _relu,
}


def _encode_pixels(images: np.ndarray) -> str:
    return _encode((images * 255).round().astype("u1"))


def _encode(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
