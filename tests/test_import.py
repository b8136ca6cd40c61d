import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "torchvision",
    "lightning",
    "diffusers",
    "transformers",
    "nuscenes",
    "kornia",
    "skimage",
    "numpy",
    "PIL",
}


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after a statement."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); {statement}; print(*{{m.split('.')[0] for m in sys.modules}})"
    )
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_ude_imports_nothing_heavy():
    assert not HEAVY & modules_after("import ude; ude.__version__")


def test_loading_a_config_needs_neither_torch_nor_numpy():
    assert not HEAVY & modules_after("import ude; ude.load_config")


def test_the_files_module_does_not_import_torch():
    assert not {"torch", "torchvision", "diffusers"} & modules_after("import ude.files")


def test_importing_ude_takes_less_than_a_second():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import time; start = time.process_time(); import ude; "
        "ude.load_config; print(time.process_time() - start)"
    )
    seconds = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert float(seconds) < 1


def test_every_lazy_attribute_exists_and_is_listed():
    import ude

    for name in ude.__all__:
        assert getattr(ude, name) is not None
        assert name in dir(ude)


def test_an_unknown_attribute_is_an_attribute_error():
    import ude

    with pytest.raises(AttributeError, match="module 'ude' has no attribute 'nothing'"):
        ude.nothing  # noqa: B018


def test_the_version_is_the_one_of_the_citation_file():
    import ude

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", citation, re.MULTILINE)[1] == ude.__version__


def test_reading_images_refuses_truncated_ones_after_ude_is_imported():
    from PIL import ImageFile

    import ude.files  # noqa: F401

    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
