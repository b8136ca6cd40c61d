"""Recording conditions of nuScenes' scenes, by md4all's rules and by corrected ones."""

import re
from pathlib import PurePosixPath

import numpy as np

from ude.data.sample import CONDITIONS

from .index import TableIndex

RULES = ("corrected", "md4all")
_NIGHT = re.compile(r"(?<![a-z])night(s|time)?(?![a-z])")
_RAIN = re.compile(r"(?<![a-z])(rain(s|y|ed|ing|fall|storm|drops?)?|drizzl(e|ing))(?![a-z])")
_NO_RAIN = re.compile(r"(?<![a-z])(no|not|without)\s+rain(ing|y)?(?![a-z])")

# The test version has no descriptions. Published for md4all (https://arxiv.org/abs/2308.09711): conditions by ranges of
# the names of the scenes' first front-camera key frames; all others are day-clear.
_TEST_RANGES = {
    "day-rain": (
        "n008-2018-09-18-14-18-33-0400__CAM_FRONT__1537294719112404",
        "n008-2018-09-18-14-18-33-0400__CAM_FRONT__1537295445612404",
    ),
    "night-clear": (
        "n015-2018-11-14-19-21-41+0800__CAM_FRONT__1542194502662460",
        "n015-2018-11-14-19-52-02+0800__CAM_FRONT__1542196694912460",
    ),
}


def scene_condition(description: str) -> str:
    """Recording condition of a scene, from whole words of its description.

    ``night`` means night; ``rain`` and its forms mean rain, unless negated. "After rain" is rain, too: the road is
    wet, and its reflections are what makes rain hard. Parts of words do not count: a train brings no rain.
    """
    text = description.lower()
    return _named(night=bool(_NIGHT.search(text)), rain=bool(_RAIN.search(_NO_RAIN.sub("", text))))


def md4all_condition(description: str) -> str:
    """Recording condition of a scene by md4all's rule: ``night`` and ``rain`` anywhere, even in ``train``."""
    text = description.lower()
    return _named(night="night" in text, rain="rain" in text)


def file_condition(first_image: str) -> str:
    """Recording condition of a scene of the test version, from the file name of its first key frame."""
    name = PurePosixPath(first_image).stem
    found = (condition for condition, (first, last) in _TEST_RANGES.items() if first <= name <= last)
    return next(found, "day-clear")


def scene_conditions(index: TableIndex, *, version: str, rules: str) -> np.ndarray:
    """Number in ``CONDITIONS`` of every scene's condition, int8 (S,).

    Args:
        index: the tables.
        version: their version; scenes of the test version are told by their files, with the corrected rules only
            where the descriptions are empty.
        rules: one of ``RULES``.
    """
    descriptions = [name.decode() for name in index.scene_description]
    by_file = version.endswith("test") and (rules == "md4all" or not any(text.strip() for text in descriptions))
    if by_file:
        found = [file_condition(name.decode()) for name in index.scene_first_image]
    else:
        rule = md4all_condition if rules == "md4all" else scene_condition
        found = [rule(text) for text in descriptions]
    return np.array([CONDITIONS.index(condition) for condition in found], np.int8)


def split_scenes(index: TableIndex, split: str, *, version: str, rules: str) -> np.ndarray:
    """Whether each scene belongs to an official split, bool (S,).

    In the mini version ``train`` and ``val`` are the official ``mini_train`` and ``mini_val``; md4all takes its scenes
    number 1 and 9, from 0, for validation.
    """
    if version.endswith("mini") and split in ("train", "val"):
        if rules == "md4all":
            held_out = np.isin(np.arange(len(index.scene_name)), (1, 9))
            return held_out if split == "val" else ~held_out
        split = f"mini_{split}"
    names = index.scenes_of(split)
    return np.array([name.decode() in names for name in index.scene_name], bool)


def _named(*, night: bool, rain: bool) -> str:
    return f"{'night' if night else 'day'}-{'rain' if rain else 'clear'}"
