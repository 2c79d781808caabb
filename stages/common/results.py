"""Numbers on disk: the same values always give the same bytes."""

import json
from pathlib import Path

import pandas as pd

# More than the spread between two seeds, fewer than single precision holds.
FORMAT = "%.6g"


def write_json(path, values: dict) -> None:
    """Write nested dictionaries of numbers, words and None as JSON.

    Floats get six significant digits. Raises ValueError for NaN or infinity.
    """
    text = json.dumps(_round(values), indent=2, allow_nan=False)
    _make_folder(path).write_text(text + "\n", encoding="utf-8")


def write_csv(path, table: pd.DataFrame) -> None:
    """Write `table` without its index; floats get six significant digits."""
    table.to_csv(_make_folder(path), index=False, float_format=FORMAT, lineterminator="\n")


def _make_folder(path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _round(value):
    if isinstance(value, dict):
        return {key: _round(inner) for key, inner in value.items()}
    return float(FORMAT % value) if isinstance(value, float) else value
