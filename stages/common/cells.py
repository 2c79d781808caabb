"""The cells of the sweep: what a factor and a replicate may be, and how files are named."""

from collections.abc import Callable
from typing import Annotated

from pydantic import WrapValidator

from common.parameters import number, whole


def _refuse_other_spelling(word: str, check: Callable):
    """Refuse a number written otherwise than Python prints it.

    DVC names files after the text, the stage after the number.
    """
    value = check(word)
    for spelled in value, int(value):
        if str(spelled) == word:
            return spelled
    raise ValueError(f"write it as {value}, without quotes")


Exact = WrapValidator(_refuse_other_spelling)
Factor = Annotated[number("L2 factor on both hidden kernels", ge=0, le=1), Exact]
Replicate = Annotated[whole("number of a repetition", 0, 1_000_000), Exact]


def name_cell(factor: float, replicate: int) -> str:
    """Name the files of a cell as DVC does, such as 1e-06-1."""
    return f"{factor}-{replicate}"
