import numpy as np
import pytest

from common.idx import read_idx, write_idx


@pytest.mark.parametrize("shape", [(0,), (7,), (3, 28, 28), (2, 0, 5)])
def test_what_is_written_is_read_again(tmp_path, shape):
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    write_idx(tmp_path / "file", values)
    np.testing.assert_array_equal(read_idx(tmp_path / "file"), values)


def test_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "file", np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    header = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3])
    assert (tmp_path / "file").read_bytes() == header + bytes([1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an IDX file"),
        (b"\1\0\x08\1\0\0\0\0", "not an IDX file"),
        (b"\0\0\x0d\1\0\0\0\0", "not an IDX file"),
        (b"\0\0\x08\2\0\0\0\1", "ends within its header"),
        (b"\0\0\x08\1\0\0\0\2\7", "9 bytes, but its header says 10"),
        (b"\0\0\x08\1\0\0\0\1\7\7", "10 bytes, but its header says 9"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, reason):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=f"file: {reason}"):
        read_idx(tmp_path / "file")


def test_other_types_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="float64"):
        write_idx(tmp_path / "file", np.zeros(3))
    assert not (tmp_path / "file").exists()
