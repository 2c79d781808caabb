"""Numbers on disk: the same values always give the same bytes."""

import json
from pathlib import Path

import pandas as pd

# More than the spread between two seeds, fewer than single precision holds.
FORMAT = "%.6g"


def write_json(path, values: dict) -> None:
    """Write `values`, nested dictionaries of numbers, words and None, to `path`: indented JSON,
    floats with six significant digits. Raises ValueError for NaN or infinity."""
    _parent(path).write_text(json.dumps(_rounded(values), indent=2, allow_nan=False) + "\n")


def write_csv(path, table: pd.DataFrame) -> None:
    """Write `table` without its index to `path`, floats with six significant digits."""
    table.to_csv(_parent(path), index=False, float_format=FORMAT, lineterminator="\n")


def _parent(path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return float(FORMAT % value) if isinstance(value, float) else value
