import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from common.idx import read_idx, write_idx

# The same file for all examples: each is written anew.
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@same_folder
@given(arrays(np.uint8, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)), st.data())
def test_written_array_is_read_again_and_no_part_of_it(tmp_path, values, data):
    path = tmp_path / "file"
    write_idx(path, values)
    np.testing.assert_array_equal(read_idx(path), values)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(SystemExit, match="file: "):
        read_idx(path)


@same_folder
@given(st.binary(max_size=40) | st.binary(max_size=20).map(lambda rest: b"\0\0\x08" + rest))
def test_any_bytes_are_read_or_refused_by_name(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    try:
        values = read_idx(path)
    except SystemExit as error:
        assert error.code.startswith(f"error: {path}: ")
    else:
        write_idx(path, values)
        assert path.read_bytes() == content


def test_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "file", np.array([[4, 5, 6]], np.uint8))
    assert (tmp_path / "file").read_bytes() == b"\0\0\x08\2\0\0\0\1\0\0\0\3\4\5\6"
