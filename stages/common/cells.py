"""The cells of the sweep: what a factor and a replicate may be, and how files are named."""

from common.parameters import exact, number, whole

Factor = exact(number("L2 factor on both hidden kernels", at_least=0, at_most=1))
Replicate = exact(whole("number of a repetition", 0, 1_000_000))


def name_cell(factor: float, replicate: int) -> str:
    """Name the files of a cell as DVC does, such as 1e-06-1."""
    return f"{factor}-{replicate}"
