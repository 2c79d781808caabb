"""The layers of any Keras network, as a table."""

import math

import pandas as pd

from common.runtime import keras


def list_layers(model) -> pd.DataFrame:
    """List a Keras network's layers, those of nested networks too.

    Columns: layer (its name), kind (Keras's class, and the activation), output (the shape without
    the batch; None for a size that is not fixed), parameters, part (the nested network that the
    layer belongs to, or "") and size (how many numbers the output has).
    """
    table = pd.DataFrame(
        _rows(model, ""), columns=["layer", "kind", "output", "parameters", "part"]
    )
    return table.assign(size=[math.prod(side or 1 for side in shape) for shape in table.output])


def _rows(model, part: str) -> list[tuple]:
    rows = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            rows += _rows(layer, layer.name)
        elif not isinstance(layer, keras.layers.InputLayer):
            name = layer.name.replace("_", " ")
            rows.append((name, _kind(layer), _shape(layer), layer.count_params(), part))
    return rows


def _kind(layer) -> str:
    function = getattr(layer, "activation", None)
    # An activation may be a function, or a layer of its own.
    name = getattr(function, "__name__", type(function).__name__)
    kind = type(layer).__name__
    return kind if function is None or name == "linear" else f"{kind}, {name}"


def _shape(layer) -> tuple:
    """Return the shape of a layer's first output, without the batch."""
    shape = layer.output.shape if hasattr(layer.output, "shape") else layer.output[0].shape
    return tuple(shape[1:])
