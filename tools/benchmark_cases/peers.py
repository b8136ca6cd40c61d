"""Running other projects' own code from a checkout: found for a while, with what it imports and nobody has any more.

Nothing of a peer is copied, patched or shipped. The stand-ins below replace packages that only its other parts use
(loggers, an interactive shell, tables of results), and functions that libraries have dropped since.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

from ude.files import MissingFileError


def stand_in(name: str, **members: object) -> ModuleType:
    """A module with the given members and nothing else."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, loader=None)
    vars(module).update(members)
    return module


def load_peer(
    folder: Path,
    modules: tuple[str, ...],
    stand_ins: Mapping[str, ModuleType],
    prepare: Callable[[], None] = lambda: None,
) -> SimpleNamespace:
    """Modules of a checkout, by the last part of their names.

    Args:
        folder: the checkout.
        modules: full names of what to import.
        stand_ins: modules to offer where they are not installed.
        prepare: repairs of libraries, and imports that must not see the stand-ins.

    Returns:
        The modules as attributes.

    Raises:
        MissingFileError: when the folder is not such a checkout.
    """
    for name in modules:
        if not folder.joinpath(*name.split(".")).with_suffix(".py").is_file():
            raise MissingFileError(f"{folder} has no {name.replace('.', '/')}.py: is it another repository or version?")
    prepare()
    with _importable(folder, stand_ins):
        loaded = {name: importlib.import_module(name) for name in modules}
    return SimpleNamespace(**{name.split(".")[-1]: module for name, module in loaded.items()})


@contextmanager
def _importable(folder: Path, stand_ins: Mapping[str, ModuleType]) -> Iterator[None]:
    """The folder first on the import path; afterwards every module is again what its name meant before.

    Peers call their modules utils, losses or config, so that two of them cannot be imported side by side.
    """
    own = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    hidden = _take_out(own)
    absent = {name: module for name, module in stand_ins.items() if not _installed(name)}
    sys.path.insert(0, str(folder.resolve()))
    sys.modules.update(absent)
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
        for name in absent:
            sys.modules.pop(name, None)
        _take_out(own)
        sys.modules.update(hidden)


def _take_out(top_level: set[str]) -> dict[str, ModuleType]:
    """Imported modules whose name starts with one of these, removed from the table."""
    names = [name for name in sys.modules if name.split(".")[0] in top_level]
    return {name: sys.modules.pop(name) for name in names}


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of the parent package
        return False
