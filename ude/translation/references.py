"""Reference images of a condition: image prompts that show a diffusion model what night looks like to a camera."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ude.data.images import read_rgb, resize_image
from ude.files import DataError, MissingFileError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
REFERENCE_SIZE = (224, 224)  # what CLIP encoders see; squeezed, not cropped, so that the whole street is in it


class References:
    """Reference images of some conditions, in one subfolder per condition.

    Args:
        root: folder with the subfolders, such as `root/night/*.jpg`.
        conditions: names of the conditions that are needed.

    Raises:
        DataError: a subfolder is missing or holds no image.
    """

    def __init__(self, root: str | Path, conditions: Sequence[str]) -> None:
        self.root = Path(root)
        self.names = {condition: _image_names(self.root / condition) for condition in conditions}

    def draw(self, condition: str, seed: int) -> str:
        """Path, relative to the root, of the reference that a seed draws."""
        names = self.names[condition]
        return f"{condition}/{names[seed % len(names)]}"

    def images(self, names: Sequence[str]) -> Tensor:
        """Drawn references (B, 3, 224, 224) in [0, 1].

        Raises:
            DataError: an image is missing or damaged.
        """
        return torch.stack([resize_image(read_rgb(self.root / name), REFERENCE_SIZE) for name in names]).float() / 255


def _image_names(folder: Path) -> list[str]:
    """Names of the images in a folder, sorted, so that the draw does not depend on the file system."""
    if not folder.is_dir():
        raise MissingFileError(
            f"there is no folder {folder}; put reference images of {folder.name!r} there (.jpg or .png)"
        )
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not names:
        raise DataError(f"there is no image in {folder}; put reference images of {folder.name!r} there (.jpg or .png)")
    return names
