"""What the report says of a network's layers, for any Keras network."""

import math

import pandas as pd

from common.runtime import keras

COLUMNS = ["layer", "kind", "activation", "output", "parameters", "part", "rate", "pool"]


def describe_layers(model) -> pd.DataFrame:
    """List a Keras model's layers, those of nested networks too.

    Columns: layer (its name), kind (Keras's class), activation ("" for none), output (the shape
    without the batch, a tuple; None for a size that is not fixed), parameters, part (the nested
    network that it belongs to, or ""), rate (of a dropout, else 0), pool (of a pooling, else ())
    and size (the output's numbers).
    """
    table = pd.DataFrame(_rows(model, ""), columns=COLUMNS)
    return table.assign(size=[math.prod(side or 1 for side in shape) for shape in table.output])


def _rows(model, part: str) -> list[tuple]:
    rows = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            rows += _rows(layer, layer.name)
        elif not isinstance(layer, keras.layers.InputLayer):
            rows.append(_row(layer, part))
    return rows


def _row(layer, part: str) -> tuple:
    function = getattr(layer, "activation", None)
    # An activation may be a function, or a layer of its own.
    activation = "" if function is None else getattr(function, "__name__", type(function).__name__)
    return (
        layer.name.replace("_", " "),
        type(layer).__name__,
        "" if activation == "linear" else activation,
        _shape(layer),
        layer.count_params(),
        part,
        float(getattr(layer, "rate", 0) or 0) if "Dropout" in type(layer).__name__ else 0.0,
        tuple(getattr(layer, "pool_size", ())),
    )


def _shape(layer) -> tuple:
    """Return the shape of a layer's first output, without the batch."""
    shape = layer.output.shape if hasattr(layer.output, "shape") else layer.output[0].shape
    return tuple(shape[1:])
