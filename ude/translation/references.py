"""Reference images of a condition: image prompts that show a diffusion model what night looks like to a camera."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ude.data.images import read_rgb, resize_image
from ude.files import DataError, MissingFileError, safe_path, sha256

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
REFERENCE_SIZE = (224, 224)  # what CLIP encoders see; squeezed, not cropped, so that the whole street is in it
_THUMBNAIL = re.compile(r"(^|[^a-z])thumb(s|nails?)?([^a-z]|$)", re.IGNORECASE)  # small copies by file managers


class References:
    """Reference images of some conditions, in one subfolder per condition.

    Args:
        root: folder with the subfolders, such as `root/night/*.jpg`.
        conditions: names of the conditions that are needed.

    Attributes:
        names: sorted file names of each condition's images, without hidden files and thumbnails.

    Raises:
        DataError: a subfolder is missing or holds no image.
    """

    def __init__(self, root: str | Path, conditions: Sequence[str]) -> None:
        self.root = Path(root)
        self.names = {condition: _image_names(self.root / condition) for condition in conditions}
        self._hashes: dict[str, str] = {}

    def draw(self, condition: str, seed: int) -> str:
        """Path, relative to the root, of the reference that a seed draws."""
        names = self.names[condition]
        return f"{condition}/{names[seed % len(names)]}"

    def path(self, name: str) -> Path:
        """Where a drawn reference lies.

        Raises:
            DataError: the name, perhaps from a manifest, leads out of the root.
        """
        return safe_path(self.root, name)

    def sha256(self, name: str) -> str:
        """SHA-256 of the file of a drawn reference; each file is read once.

        Raises:
            MissingFileError: it is gone.
        """
        if name not in self._hashes:
            self._hashes[name] = sha256(self.path(name))
        return self._hashes[name]

    def images(self, names: Sequence[str]) -> Tensor:
        """Drawn references (B, 3, 224, 224) in [0, 1].

        Raises:
            DataError: an image is missing or damaged; it is named.
        """
        return torch.stack([resize_image(read_rgb(self.path(name)), REFERENCE_SIZE) for name in names]).float() / 255


def _image_names(folder: Path) -> list[str]:
    """Names of the images in a folder, sorted, so that the draw does not depend on the file system."""
    if not folder.is_dir():
        raise MissingFileError(
            f"there is no folder {folder}; put reference images of {folder.name!r} there (.jpg or .png)"
        )
    names = sorted(path.name for path in folder.iterdir() if is_image_file(path))
    if not names:
        raise DataError(f"there is no image in {folder}; put reference images of {folder.name!r} there (.jpg or .png)")
    return names


def is_image_file(path: Path) -> bool:
    """Whether a path is an image of its own: no folder, hidden file or thumbnail."""
    if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or _THUMBNAIL.search(path.stem):
        return False
    return path.is_file()
