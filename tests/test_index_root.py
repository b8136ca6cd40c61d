"""The folder of indices: which one it is, and what is said where it cannot be written to."""

import errno
from pathlib import Path

import pytest

from ude.data.index_root import index_folder, naming_index_root
from ude.files import DataError, DiskFullError, MissingFileError


def test_the_folder_is_the_callers_or_the_users_cache(monkeypatch):
    monkeypatch.setenv("UDE_CACHE", "/ours")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert index_folder("/given") == Path("/given")
    assert index_folder("") == index_folder() == Path("/ours")
    monkeypatch.delenv("UDE_CACHE")
    assert index_folder() == Path("/shared/ude")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert index_folder() == Path.home() / ".cache" / "ude"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EIO, "Input/output error"), DataError),
        (DataError("cannot write x: Read-only file system; choose a folder"), DataError),
        (MissingFileError("x is missing"), DataError),
        (DiskFullError("no space left to write x; free some space"), DiskFullError),
    ],
)
def test_an_error_of_writing_names_the_key_in_one_line(error, kind):
    with pytest.raises(kind, match=r"DATA\.INDEX_ROOT or UDE_CACHE") as caught, naming_index_root(Path("x")):
        raise error
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
