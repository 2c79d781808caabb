"""The IDX format of the original MNIST files.

Two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the values in row-major order. Source:
http://yann.lecun.com/exdb/mnist/ ("the IDX file format").
"""

import math
import struct
from pathlib import Path

import numpy as np

MAGIC = bytes([0, 0, 8])  # 8: unsigned bytes
MOST_DIMENSIONS = 4


def read_idx(path) -> np.ndarray:
    """Read an IDX file: a read-only uint8 array of any shape.

    Raises ValueError, naming the file, if it is no IDX file of unsigned bytes.
    """
    content = Path(path).read_bytes()
    if len(content) < 4 or content[:3] != MAGIC or content[3] > MOST_DIMENSIONS:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes (magic {content[:4].hex()})")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path}: ends within its header")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise ValueError(f"{path}: {len(content)} bytes, but its header says {expected}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def write_idx(path, values: np.ndarray) -> None:
    """Write a uint8 array of any shape to `path` as an IDX file."""
    header = struct.pack(f">B{values.ndim}I", values.ndim, *values.shape)
    Path(path).write_bytes(MAGIC + header + values.tobytes())
