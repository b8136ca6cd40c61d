"""Predictions kept in files while they are evaluated, in the form that SavedPredictions reads."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ude.files import DataError, clean_temporary, safe_path, write_arrays, write_json

from .prediction_files import DESCRIPTION, KINDS, RELATIVE, SCHEMA_VERSION, description
from .predictor import Frame, FramePredictor, Maps, Predictor, frame_maps
from .saved import SavedPredictions, check_map

_LOG = logging.getLogger(__name__)


class Saving(FramePredictor):
    """A predictor whose predictions are kept in a folder; those that are there already are not made again.

    Args:
        predictor: what predicts.
        folder: where the files go; new, empty, or begun with the same arguments.
        metric: the predictions are inverse depths [1/m]; otherwise they lack scale and shift.
        flip: the evaluation asks for mirrored images, too.
        made_by: what the predictions depend on, as JSON keeps it: weights, size of the images and the like.

    Raises:
        DataError: the folder holds something else.
    """

    uses_files = True

    def __init__(
        self, predictor: Predictor, folder: str | Path, *, metric: bool, flip: bool, made_by: Mapping[str, Any]
    ) -> None:
        self.predictor, self.folder = predictor, Path(folder)
        self.mirrors = flip and (not isinstance(predictor, FramePredictor) or predictor.mirrors)
        kind = KINDS[0] if metric else RELATIVE
        self._claim(
            {"schema_version": SCHEMA_VERSION, "kind": kind, "mirrored": self.mirrors, "made_by": dict(made_by)}
        )
        self._saved = SavedPredictions(self.folder)

    def of_frames(self, images: Tensor, frames: Sequence[Frame], *, flip: bool) -> list[Maps]:
        """The maps of the frames, read where their file is there, otherwise predicted and written."""
        new = [place for place, frame in enumerate(frames) if self._saved.file(frame.frame_id) is None]
        if new:
            chosen = [frames[place] for place in new]
            found = frame_maps(self.predictor, images[new], chosen, flip=self.mirrors)
            for frame, maps in zip(chosen, found, strict=True):
                self._write(frame.frame_id, maps)
        return self._saved.of_frames(images, frames, flip=flip)

    def require(self, frame_ids: Sequence[str]) -> None:
        """Refuses what the predictor itself refuses, and says how many of the frames are there already."""
        if isinstance(self.predictor, FramePredictor):
            self.predictor.require(frame_ids)
        if done := sum(self._saved.file(frame_id) is not None for frame_id in frame_ids):
            _LOG.info("%s: %d of %d frames were predicted before", self.folder, done, len(frame_ids))

    def _write(self, frame_id: str, maps: Maps) -> None:
        values = {"prediction": maps.inverse_depth, "mirrored": maps.mirrored}
        arrays = {name: value[0].float().cpu().numpy() for name, value in values.items() if value is not None}
        path = safe_path(self.folder, f"{frame_id}.npz", to_write=True)
        for name, array in arrays.items():
            check_map(path, name, array, shape=array.shape, metric=self._saved.metric)
        write_arrays(path, arrays)

    def _claim(self, wanted: dict[str, Any]) -> None:
        """Describes a new folder, and refuses one that holds something else."""
        wanted, found = json.loads(json.dumps(wanted)), description(self.folder)  # tuples are lists in a file
        if found:
            if different := [name for name, value in wanted.items() if found.get(name) != value]:
                given, here = found.get(different[0]), wanted[different[0]]
                if isinstance(given, dict) and isinstance(here, dict):  # made_by has many parts
                    part = next(key for key in {**here, **given} if given.get(key) != here.get(key))
                    given, here = f"{part}: {given.get(part)}", here.get(part)
                raise DataError(
                    f"{self.folder} holds predictions with another {different[0]} ({_short(given)}, here "
                    f"{_short(here)}); choose another folder, or remove that one"
                )
            clean_temporary(self.folder)
            return
        others = list(self.folder.glob("[!.]*")) if self.folder.is_dir() else [self.folder] * self.folder.exists()
        if others:  # hidden ones: another process of this evaluation may be writing the description now
            raise DataError(f"{self.folder} holds other files and no {DESCRIPTION}; choose another folder")
        write_json(self.folder / DESCRIPTION, wanted)


def _short(value: Any) -> str:
    """A value for an error, cut to a line."""
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
