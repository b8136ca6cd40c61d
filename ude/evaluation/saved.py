"""Predictions in files: one per frame, written by an evaluation or by any other program, in place of a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ude.data.folders.depth_png import read_png16
from ude.files import DataError, MissingFileError, read_array, read_arrays, safe_path

from .prediction_files import DESCRIPTION, KINDS, RELATIVE, SCHEMA_VERSION, SUFFIXES, description
from .predictor import Frame, FramePredictor, Maps

PNG_STEPS = 256
"""16-bit PNG files hold this many times the depth [m], as KITTI's do."""


class SavedPredictions(FramePredictor):
    """The predictions of a folder, found by frame id; their size may be any and differ from frame to frame.

    A frame's file is ``<frame_id>.npz`` (``prediction`` and, if the folder has them, ``mirrored``, that of the
    mirrored image, not mirrored back), ``<frame_id>.npy``, or ``<frame_id>.png`` (16 bits, depth times 256). NumPy
    arrays are of floating point, (h, w), and of the kind that predictions.json says.

    Args:
        folder: the folder.
        kind: one of KINDS for a folder without predictions.json; empty where it has one, or holds PNG files alone.

    Attributes:
        metric: the values have a scale.
        mirrors: every file has the maps of the mirrored image, too.

    Raises:
        DataError: the folder does not say what its values are.
    """

    uses_files = True

    def __init__(self, folder: str | Path, kind: str = "") -> None:
        self.folder = Path(folder)
        document = description(self.folder)
        self.kind = _kind(self.folder, document, kind)
        self.mirrors = document.get("mirrored") is True
        self.metric = self.kind != RELATIVE

    def of_frames(self, images: Tensor, frames: Sequence[Frame], *, flip: bool) -> list[Maps]:
        """The maps of the frames; of the images only the device matters."""
        return [Maps(*self._read(frame.frame_id, images.device, flip=flip)) for frame in frames]

    def require(self, frame_ids: Sequence[str]) -> None:
        """Refuses frames without a file."""
        missing = [frame_id for frame_id in frame_ids if self.file(frame_id) is None]
        if missing:
            raise MissingFileError(
                f"{self.folder} has no prediction for {len(missing)} of {len(frame_ids)} frames (first: {missing[0]}"
                f"{'|'.join(SUFFIXES)}); predict them, or evaluate on a split of those that it has"
            )

    def file(self, frame_id: str) -> Path | None:
        """The file of a frame; None where there is none.

        Raises:
            DataError: the name of the frame leads out of the folder.
        """
        paths = (safe_path(self.folder, frame_id + suffix) for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def _read(self, frame_id: str, device: torch.device, *, flip: bool) -> tuple[Tensor, Tensor | None]:
        """Inverse depth (1, h, w) of a frame and, with flip, of its mirrored image."""
        path = self.file(frame_id)
        if path is None:
            self.require([frame_id])
        names = ("prediction", "mirrored") if flip else ("prediction",)
        arrays = _arrays(path)
        if path.suffix == ".png" and self.kind != "depth":
            raise DataError(f"{path} holds depth, but {self.folder} says {self.kind}; save PNG files apart from others")
        for name in names:
            if name not in arrays:
                raise DataError(f"{path} has no array {name!r}; save it, or say in {DESCRIPTION} what there is")
            check_map(path, name, arrays[name], shape=arrays["prediction"].shape, metric=self.metric)
        maps = [torch.from_numpy(arrays[name].astype(np.float32)).to(device)[None] for name in names]
        maps = [values.reciprocal() if self.kind == "depth" else values for values in maps]
        return (maps[0], maps[1] if flip else None)


def _kind(folder: Path, document: Mapping[str, Any], kind: str) -> str:
    """What the values of a folder are."""
    if document:
        path, found = folder / DESCRIPTION, document.get("kind")
        if found not in KINDS:
            raise DataError(f'{path} has kind {found!r}; set "kind" to one of {", ".join(KINDS)}')
        if kind not in ("", found):
            raise DataError(
                f"{path} says {found}, not {kind}; correct one of the two, or give other folders a {DESCRIPTION} of "
                "their own"
            )
        return found
    if kind in KINDS:
        return kind
    if not kind and not any(path.suffix in (".npz", ".npy") for path in folder.iterdir()):
        return "depth"
    raise DataError(
        f"{folder} does not say whether its files hold depth; say it by --kind (one of {', '.join(KINDS)}), or write "
        f'{DESCRIPTION} into it: {{"schema_version": {SCHEMA_VERSION}, "kind": "depth"}}'
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; those of PNG files are depths [m]."""
    if path.suffix == ".npz":
        return read_arrays(path)
    return {"prediction": read_array(path) if path.suffix == ".npy" else read_png16(path) / np.float32(PNG_STEPS)}


def check_map(path: Path, name: str, array: np.ndarray, *, shape: tuple[int, ...], metric: bool) -> None:
    """Refuses an array that is no map of usable values."""
    if array.ndim != 2 or not array.size or array.shape != shape or array.dtype.kind != "f":
        raise DataError(
            f"{path}: {name} is {array.dtype} of shape {array.shape}; it must be a map (h, w) of floating point"
            f"{'' if array.shape == shape else f' and of the shape of prediction, {shape}'}"
        )
    wrong = np.count_nonzero(~(np.isfinite(array) & (array > 0)) if metric else ~np.isfinite(array))
    if wrong:
        raise DataError(
            f"{path}: {wrong} of {array.size} values of {name} are not finite{' and positive' if metric else ''}; "
            "predict the frame again: every pixel needs a value"
        )
