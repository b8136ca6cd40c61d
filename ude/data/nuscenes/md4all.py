"""Which key frames md4all (https://arxiv.org/abs/2308.09711) uses, for comparison with its published numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ude.data.sample import CONDITIONS
from ude.files import DataError, read_json

from .index import TableIndex
from .rules import scene_conditions, split_scenes


def dynamic_key_frames(index: TableIndex, min_speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Whether each key frame has both neighbouring images, and whether the car is fast enough, bool (M,) each.

    The speed is the mean of the car's (not the camera's) to the image before and to the image after.

    Args:
        index: the tables.
        min_speed: smallest speed [m/s].
    """
    image = index.key_image
    sides = np.stack([index.image_previous[image], index.image_next[image]])
    complete = (sides >= 0).all(axis=0)
    sides = np.where(complete, sides, image)
    centres, times = index.image_T_global_ego[..., 3], index.image_time
    ways = np.linalg.norm(centres[sides] - centres[image], axis=2)
    seconds = np.abs(times[sides] - times[image]) * 1e-6
    speed = np.divide(ways, seconds, out=np.zeros_like(ways), where=seconds > 0).sum(axis=0) / 2
    return complete, complete & (speed >= min_speed)


def moved_from_ends(index: TableIndex, key: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Key frames, those that are a scene's first or last sample replaced by the next or previous one of the table.

    So a scene's second and last but one frame are in the result twice when its ends are. md4all filters the table
    before: where the neighbour was too slow, the first frame is replaced by a later one.

    Args:
        index: the tables.
        key: rows of key frames, (F,).
        table: rows of the key frames that the filtered table of samples holds, (T,) ascending.
    """
    step = np.where(index.key_first[key], 1, np.where(index.key_last[key], -1, 0))
    return table[np.clip(np.searchsorted(table, key) + step, 0, len(table) - 1)]


def sample_list(index: TableIndex, path: Path, *, version: str) -> dict[str, list[tuple[str, str]]]:
    """Frame_id and condition of the frames that ``train_samples_dynamic.json`` of md4all gives a split, by split.

    That file holds records of the table of samples, those of moving training frames of all conditions and all of the
    validation scenes. md4all trains on the day-clear ones.

    Args:
        index: the tables that the file was made from.
        path: the file.
        version: version of the tables.

    Raises:
        DataError: when the file has another form or names a sample that the tables lack.
    """
    key = _rows(index, path)
    condition = scene_conditions(index, version=version, rules="md4all")[index.key_scene[key]]
    names = [Path(name.decode()).stem for name in index.image_file[index.key_image[key]]]
    rows = [(name, CONDITIONS[number]) for name, number in zip(names, condition, strict=True)]
    splits: dict[str, list[tuple[str, str]]] = {}
    for split, wanted in (("train", CONDITIONS[:1]), ("val", CONDITIONS)):
        member = split_scenes(index, split, version=version, rules="md4all")[index.key_scene[key]]
        splits[split] = [row for row, belongs in zip(rows, member, strict=True) if belongs and row[1] in wanted]
    return splits


def _rows(index: TableIndex, path: Path) -> np.ndarray:
    """Rows of the key frames that a list of sample records names."""
    records = read_json(path)
    if not isinstance(records, Sequence) or not all(isinstance(row, dict) and "token" in row for row in records):
        raise DataError(f"{path}: is no list of nuScenes samples with a token each; give md4all's list of samples")
    known = {token.decode(): row for row, token in enumerate(index.key_sample)}
    for record in records:
        if str(record["token"]) not in known:
            raise DataError(f"{path}: sample {str(record['token'])[:80]!r} is not in the tables; set DATA.VERSION")
    return np.array([known[str(record["token"])] for record in records], np.int64)
