"""The IDX format of the original MNIST files.

Format: http://yann.lecun.com/exdb/mnist/ ("the IDX file format"): two zero bytes, a type code
(8: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit integer,
then the values in row-major order.
"""

import struct
from pathlib import Path

import numpy as np

UNSIGNED_BYTE = 8


def read_idx(path) -> np.ndarray:
    """The uint8 array in the IDX file at `path`, read-only, of the shape its header gives.

    Raises ValueError, naming the file, where the header or the length is not that of an
    IDX file of unsigned bytes.
    """
    content = Path(path).read_bytes()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes (magic {content[:4].hex()})")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path}: ends within its header")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    expected = start + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise ValueError(f"{path}: {len(content)} bytes, but its header says {expected}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def write_idx(path, values: np.ndarray) -> None:
    """Write a uint8 array of any shape to `path` as an IDX file."""
    if values.dtype != np.uint8:
        raise ValueError(f"{path}: IDX files here hold uint8, not {values.dtype}")
    header = struct.pack(f">HBB{values.ndim}I", 0, UNSIGNED_BYTE, values.ndim, *values.shape)
    Path(path).write_bytes(header + values.tobytes())
