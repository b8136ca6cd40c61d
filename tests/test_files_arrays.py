"""Archives of arrays: read as they were written, never as objects, never when damaged."""

import numpy as np
import pytest

from ude.files import DataError, MissingFileError, read_arrays, write_arrays

ARRAYS = {
    "depth": np.arange(6, dtype=np.float32).reshape(2, 3),
    "names": np.array([b"a", b"bc"]),
    "text": np.array("夜"),
}


class Canary:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_arrays_are_read_as_they_were_written(tmp_path):
    write_arrays(tmp_path / "folder" / "x.npz", ARRAYS)
    found = read_arrays(tmp_path / "folder" / "x.npz")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["x.npz"]


def test_objects_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="bad holds objects"):
        write_arrays(tmp_path / "x.npz", {"bad": np.array([Canary()], object)})
    np.savez(tmp_path / "y.npz", bad=np.array([Canary()], object))
    with pytest.raises(DataError, match=r"y\.npz cannot be read") as caught:
        read_arrays(tmp_path / "y.npz")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x.npz").exists()


def test_a_changed_byte_of_the_content_and_a_cut_are_found(tmp_path):
    path = tmp_path / "x.npz"
    write_arrays(path, ARRAYS)
    data = path.read_bytes()
    position = data.index(ARRAYS["depth"].tobytes()) + 5
    for damaged in (data[:position] + b"\xff" + data[position + 1 :], data[:-1], data[:30], b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"remove it and make it again"):
            read_arrays(path)
    with pytest.raises(MissingFileError):
        read_arrays(tmp_path / "none.npz")
