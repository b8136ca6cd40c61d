"""A folder of one's own images or videos as a source of frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ude.files import DataError

from .depth_png import sparse_png_depth
from .drives import Drive
from .frames import FolderFrames
from .intrinsics_json import NAME, FolderDescription
from .listing import first_size, image_files, listed_frames, subfolders
from .video import VIDEO_SUFFIXES, extracted_frames

SPLITS = ("all", "train", "val", "test")
DEPTH = "depth"


class ImageFolderFrames(FolderFrames):
    """Images of one's own, with one ``intrinsics.json``; without poses, with depth where there is a folder of it.

    Layout::

        <root>/intrinsics.json                      see ``FolderDescription``
        <root>/<sequence>/<image>.jpg or .png ...   a sequence per folder; neighbours are neighbours in natural order
        <root>/<sequence>.mp4                       a video is a sequence, too (mp4, avi, mov, mkv, webm)
        <root>/<image>.jpg                          images in the root itself are one more sequence, named as the root
        <root>/depth/<sequence>/<image>.png         depth for evaluation, 256 times the metres in 16 bits; 0 = none
        <root>/depth/<image>.png                    the same for images in the root itself

    A frame is called ``<sequence>_<image>``, in the root itself ``<image>``, without suffix. Videos are taken apart
    once, because a place inside a video is slow and uncertain to reach: see ``extracted_frames``.

    Args:
        root: the folder.
        split: ``all``, a split that ``intrinsics.json`` names, or a text file with ``frame_id condition`` lines.
        conditions: keep frames of these recording conditions only; None keeps all.
        offsets: neighbours that every frame must have.
        index_root: folder for the frames of videos, outside of the root; None or "" for the user's cache folder.

    Raises:
        DataError: when something is missing, damaged or not of this form, or no frame is left.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "all",
        conditions: Sequence[str] | None = None,
        offsets: Sequence[int] = (),
        index_root: str | Path | None = None,
    ) -> None:
        root, listed = Path(root), listed_frames(split, SPLITS)
        description, places = FolderDescription(root), _sequences(root)
        if not places:
            raise DataError(f"{root}: holds no images, no folders of images and no videos beside {NAME}")
        chosen = description.sequences_of("all" if listed is not None else split, [*places])
        drives = [_drive(root, name, places[name], description, index_root) for name in chosen]
        super().__init__(root, drives, split=split, listed=listed, conditions=conditions, offsets=offsets)

    def lidar_path(self, index: int) -> Path | None:
        """The depth map of a frame; None for a frame without."""
        path = self._depth_path(index)
        return path if path.is_file() else None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major pixel indices, int64 (N,) ascending, and depths [m], float32 (N,), of its depth map.

        Raises:
            DataError: when it has none, or it is damaged or of another size than the image.
        """
        if not (self.root / DEPTH).is_dir():
            return super().sparse_lidar(index)
        return sparse_png_depth(self._depth_path(index), self.native_size(index))

    def _depth_path(self, index: int) -> Path:
        drive, position = self._place(index)
        folder = self.root / DEPTH if drive.folder == self.root else self.root / DEPTH / drive.scene
        return folder / f"{drive.stem(position)}.png"


def _sequences(root: Path) -> dict[str, Path]:
    """Folder or video of every sequence, by name."""
    places = {root.absolute().name: root} if image_files(root) else {}
    videos = [path for path in sorted(root.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
    for place in [*(folder for folder in subfolders(root) if folder.name != DEPTH), *videos]:
        name = place.stem if place in videos else place.name
        if name in places:
            raise DataError(f"{place} and {places[name]} would both be sequence {name}; rename one")
        if place in videos or image_files(place):
            places[name] = place
    return places


def _drive(root: Path, name: str, place: Path, description: FolderDescription, index_root: str | Path | None) -> Drive:
    """The images of a sequence."""
    if place.is_file():
        place = extracted_frames(place, index_root, fps=description.fps(name))
    files = image_files(place)
    size = first_size(place, files)
    return Drive(
        scene=name,
        folder=place,
        files=np.array(files),
        numbers=np.arange(len(files)),
        condition=description.condition(name),
        K=description.intrinsics(name, size),
        size=size,
        prefix="" if place == root else f"{name}_",
    )
