"""What made a result: package versions and the commit of this checkout."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

_PACKAGES = ("ude", "torch", "torchvision", "lightning", "transformers", "diffusers", "kornia", "numpy")


def provenance() -> dict[str, str | None]:
    """Versions of Python and the packages that matter, and the git commit, None outside a checkout."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions | {"commit": _commit()}


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
