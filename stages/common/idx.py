"""The IDX format of the original MNIST files.

Two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the values in row-major order. Source:
http://yann.lecun.com/exdb/mnist/ ("the IDX file format").
"""

import sys
from pathlib import Path

import numpy as np

MAGIC = bytes([0, 0, 8])


def read_idx(path) -> np.ndarray:
    """Read an IDX file: a read-only uint8 array of any shape.

    Ends the process with one line if it is no IDX file of unsigned bytes.
    """
    content = Path(path).read_bytes()
    try:
        if content[:3] != MAGIC:
            raise ValueError(f"it starts with {content[:3].hex()}")
        shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
        return np.frombuffer(content, np.uint8)[4 + shape.nbytes :].reshape(shape)
    except (IndexError, ValueError) as error:
        sys.exit(f"error: {path}: not an IDX file ({error}); restore it: dvc repro fetch")


def write_idx(path, values: np.ndarray) -> None:
    """Write a uint8 array of any shape to `path` as an IDX file."""
    shape = np.array(values.shape, ">u4")
    Path(path).write_bytes(MAGIC + bytes([values.ndim]) + shape.tobytes() + values.tobytes())
