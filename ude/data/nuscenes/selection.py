"""Which key frames a split, its conditions, the neighbours and the speed leave."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ude.data.sample import CONDITIONS
from ude.data.splits import read_split
from ude.files import DataError

from .index import LOST, TableIndex
from .md4all import dynamic_key_frames, moved_from_ends
from .poses import camera_centres
from .rules import scene_conditions, split_scenes

SPLITS = ("train", "val", "test", "mini_train", "mini_val", "train_detect", "train_track")
"""The splits that nuScenes' devkit names; anything else is a file."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Key frames that were chosen, in order.

    Attributes:
        key: their rows among the index's key frames, (F,).
        condition: numbers in ``CONDITIONS``, (F,).
        images: rows of their images and of their neighbours' in the stream, (F, 1 + S).
        num_chosen: number of frames of the split and its conditions.
        num_without_neighbour: number of those left out because a neighbour is missing.
        num_slow: number of those left out because the car was too slow.
        lost: files of frames whose neighbour is named by the tables but not in them.
    """

    key: np.ndarray
    condition: np.ndarray
    images: np.ndarray
    num_chosen: int
    num_without_neighbour: int = 0
    num_slow: int = 0
    lost: tuple[str, ...] = ()

    def kept(self, keep: np.ndarray) -> "Selection":
        """The frames for which ``keep`` is true, with the counts as they are."""
        return replace(self, key=self.key[keep], condition=self.condition[keep], images=self.images[keep])


def select_frames(
    index: TableIndex,
    *,
    version: str,
    split: str,
    conditions: Sequence[str],
    offsets: Sequence[int],
    min_speed: float,
    rules: str,
) -> Selection:
    """The key frames of a split that can be used.

    Args:
        index: the tables.
        version: their version.
        split: name of an official split, or a split file.
        conditions: recording conditions that are wanted.
        offsets: neighbours that a frame needs, counted in camera frames.
        min_speed: smallest mean speed between a frame and its neighbours [m/s].
        rules: ``corrected`` or ``md4all``.

    Raises:
        DataError: when the split file names an unknown frame.
    """
    by_scene = scene_conditions(index, version=version, rules=rules)
    if split in SPLITS:
        key = _of_scenes(index, split_scenes(index, split, version=version, rules=rules), rules)
        condition = by_scene[index.key_scene[key]]
    else:
        key, condition = _of_file(index, Path(split), version)
    wanted = np.isin(condition, [CONDITIONS.index(name) for name in conditions])
    key, condition = key[wanted], condition[wanted]
    chosen = Selection(key, condition, index.key_image[key][:, None], num_chosen=len(key))
    if not offsets:
        return chosen
    if rules == "md4all":
        moved = _moved(index, chosen, min_speed if version.endswith("trainval") else 0.0)
        if split in SPLITS:
            moved = replace(moved, condition=by_scene[index.key_scene[moved.key]])
        return _with_neighbours(index, moved, offsets)
    return _fast_enough(index, _with_neighbours(index, chosen, offsets), min_speed)


def frame_ids(index: TableIndex, key: np.ndarray) -> list[str]:
    """Stems of the image files of key frames."""
    return [Path(name.decode()).stem for name in index.image_file[index.key_image[key]]]


def _of_scenes(index: TableIndex, scenes: np.ndarray, rules: str) -> np.ndarray:
    """Key frames of scenes by scene and time; md4all takes them in the order of the table."""
    key = np.flatnonzero(scenes[index.key_scene])
    if rules == "md4all":
        return key
    order = np.lexsort((index.image_time[index.key_image[key]], index.scene_name[index.key_scene[key]]))
    return key[order]


def _of_file(index: TableIndex, path: Path, version: str) -> tuple[np.ndarray, np.ndarray]:
    rows = {name: row for row, name in enumerate(frame_ids(index, np.arange(len(index.key_image))))}
    frames = read_split(path)
    for frame_id, (_, line) in frames.items():
        if frame_id not in rows:
            raise DataError(
                f"{path}:{line}: {frame_id} is no CAM_FRONT key frame of {version}; remove the line or set DATA.VERSION"
            )
    key = np.array([rows[frame_id] for frame_id in frames], np.int64)
    return key, np.array([CONDITIONS.index(condition) for condition, _ in frames.values()], np.int8)


def _moved(index: TableIndex, chosen: Selection, min_speed: float) -> Selection:
    """md4all's training frames: slow ones left out, ends of scenes replaced; only training scenes are filtered."""
    complete, fast = np.ones((2, len(index.key_image)), bool)
    if min_speed > 0:
        filtered = split_scenes(index, "train", version="", rules="md4all")[index.key_scene]
        complete, fast = (column | ~filtered for column in dynamic_key_frames(index, min_speed))
    keep = chosen.kept(fast[chosen.key])
    lacking = int((~complete[chosen.key]).sum())
    image = index.key_image[chosen.key[~complete[chosen.key]]]
    lost = image[(index.image_previous[image] == LOST) | (index.image_next[image] == LOST)]
    return replace(
        keep,
        key=moved_from_ends(index, keep.key, np.flatnonzero(fast)),
        num_without_neighbour=lacking,
        num_slow=len(chosen.key) - len(keep.key) - lacking,
        lost=_names(index, lost),
    )


def _with_neighbours(index: TableIndex, chosen: Selection, offsets: Sequence[int]) -> Selection:
    """The frames that have all neighbours."""
    columns = [index.key_image[chosen.key]]
    for offset in offsets:
        step, rows = (index.image_next if offset > 0 else index.image_previous), columns[0]
        for _ in range(abs(offset)):
            rows = np.where(rows < 0, rows, step[rows])
        columns.append(rows)
    images = np.stack(columns, axis=1)
    keep, lost = (images >= 0).all(axis=1), (images == LOST).any(axis=1)
    chosen = replace(
        chosen,
        images=images,
        num_without_neighbour=chosen.num_without_neighbour + int((~keep).sum()),
        lost=chosen.lost + _names(index, images[lost, 0]),
    )
    return chosen.kept(keep)


def _names(index: TableIndex, images: np.ndarray) -> tuple[str, ...]:
    return tuple(name.decode() for name in index.image_file[images])


def _fast_enough(index: TableIndex, chosen: Selection, min_speed: float) -> Selection:
    """The frames whose camera moves at ``min_speed`` [m/s] on the mean of the ways to its neighbours."""
    times = index.image_time[chosen.images]
    seconds = np.abs(times[:, 1:] - times[:, :1]) * 1e-6
    if not seconds.all():
        name = frame_ids(index, chosen.key[~seconds.all(axis=1)])[0]
        raise DataError(f"{name} and a neighbour have the same timestamp; unpack the metadata again")
    centres = camera_centres(index, chosen.images)
    keep = (np.linalg.norm(centres[:, 1:] - centres[:, :1], axis=2) / seconds).mean(axis=1) >= min_speed
    return replace(chosen, num_slow=chosen.num_slow + int((~keep).sum())).kept(keep)
