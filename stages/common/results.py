"""Numbers on disk: the same values always give the same bytes."""

import json
from pathlib import Path

import pandas as pd

# Seeds differ in fewer digits than six; single precision holds seven.
FORMAT = "%.6g"


def write_json(path, values: dict) -> None:
    """Write nested dictionaries of numbers, words and None as JSON.

    Floats get six significant digits. Raises ValueError for NaN or infinity.
    """
    _write(path, json.dumps(_round(values), indent=2, allow_nan=False) + "\n")


def write_csv(path, table: pd.DataFrame) -> None:
    """Write `table` without its index; floats get six significant digits."""
    _write(path, table.to_csv(index=False, float_format=FORMAT, lineterminator="\n"))


def _write(path, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def _round(value):
    if isinstance(value, dict):
        return {key: _round(inner) for key, inner in value.items()}
    return float(FORMAT % value) if isinstance(value, float) else value
