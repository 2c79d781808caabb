"""How numbers, tables and colours are written; the templates have these functions as filters."""

import numpy as np
import pandas as pd

DASH = "–"  # not measured


def is_missing(value) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def percent(share: float | None, digits: int = 1) -> str:
    return DASH if is_missing(share) else f"{100 * share:.{digits}f}\u00a0%"


def digits(value: float | None, count: int = 4) -> str:
    return DASH if is_missing(value) else f"{value:,.{count}f}".replace("-", "−")


def signed(value: float | None, count: int = 4) -> str:
    return DASH if is_missing(value) else f"{value:+,.{count}f}".replace("-", "−")


def level(value: float | None) -> str:
    """Write a noise level or a factor: as short as two digits allow, never as 1e-06."""
    if is_missing(value):
        return DASH
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")


def count(value: int | None, word: str = "") -> str:
    """Write a number, with what it counts: "1 seed", "15 trainings"."""
    if is_missing(value):
        return DASH
    number = f"{value:,.0f}".replace("-", "−")
    if not word:
        return number
    return f"{number} {word}" if value == 1 else f"{number} {word}s"


def lighter(colour: str) -> str:
    """Mix a colour, such as "#0072B2", with white, for dark ground."""
    parts = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{round(0.55 * part + 0.45 * 255):02X}" for part in parts)


def table(frame: pd.DataFrame) -> str:
    """Write a table in Markdown: numbers with four digits, a dash for what is missing."""

    def write(value) -> str:
        if isinstance(value, str):
            return value.replace("|", "\\|")
        if is_missing(value) or isinstance(value, (int, np.integer)):
            return count(value)
        return digits(value, 4 if abs(value) < 10 else 1)

    written = frame.astype(object).map(write)
    return written.to_markdown(index=False, disable_numparse=True) + "\n"
