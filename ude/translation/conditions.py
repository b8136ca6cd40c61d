"""Conditions to translate day frames to, and the words that ask a diffusion model for them."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from ude.files import DataError, MissingFileError

from .phrases import COMMON_NEGATIVE, LIMITS, NEGATIVES, PHRASES

STATISTICS = (
    *("luminance", "dark_share", "bright_share", "sky_luminance"),
    *("contrast", "saturation", "blueness", "dark_channel"),
)
"""What limits may be about: the names of `ude.translation.quality.image_statistics`."""

MAX_PHRASE = 200  # characters, some 50 of the 77 tokens that CLIP reads
MAX_BYTES = 100_000
_KEYS = ("phrases", "negative", "limits")
_WORD = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True)
class Condition:
    """A condition to translate to.

    Attributes:
        name: name in configs, of the output folder and of the folder with reference images.
        phrases: what a prompt may begin with; the first goes before captions, all of them vary prompts without.
        negative: what a diffusion model is to keep away from.
        limits: by statistic of an image, the range (least, most) that an image of this condition has to be in.
    """

    name: str
    phrases: tuple[str, ...]
    negative: str = COMMON_NEGATIVE
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)

    def prompt(self, seed: int, caption: str | None = None) -> str:
        """Prompt of one frame: the first phrase before its caption, or without a caption one phrase by the seed.

        The phrase comes first, so that the text encoder's limit of 77 tokens never cuts the condition off.
        """
        if caption is None:
            return self.phrases[seed % len(self.phrases)]
        return ", ".join(part for part in (self.phrases[0], caption.strip()) if part)


CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {name: Condition(name, PHRASES[name], NEGATIVES[name], LIMITS[name]) for name in PHRASES}
)


def load_conditions(path: str | Path = "") -> Mapping[str, Condition]:
    """The built-in conditions by name, and those of a YAML file beside or instead of them.

    The file has a mapping from names to `phrases` (a list of texts), `negative` (a text) and `limits` (a mapping from
    statistics to [least, most]). What it leaves out of a built-in condition stays; own ones need phrases.

    Args:
        path: the file; "" for the built-in conditions alone.

    Raises:
        MissingFileError: there is no such file.
        DataError: one line that names the file, the condition and what is wrong.
    """
    if not str(path):
        return CONDITIONS
    try:
        own = {name: _condition(name, row) for name, row in _rows(_text(Path(path)))}
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{path}: {_reason(error)}; see configs/conditions/example.yaml") from error
    return MappingProxyType({**CONDITIONS, **own})


class _Loader(yaml.BaseLoader):
    """Plain text, lists and mappings: `no` and `1e-3` are text, tags mean nothing, no aliases, no key twice."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"line {self.peek_event().start_mark.line + 1}: aliases (*name) are refused")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise ValueError(f"line {key.start_mark.line + 1}: {key.value} is given twice")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _text(path: Path) -> str:
    if not path.is_file():
        raise MissingFileError(f"there is no file {path} with conditions; check the path")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    return path.read_text(encoding="utf-8-sig")


def _rows(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    loader = _Loader(text)
    try:
        found = loader.get_single_data()
    finally:
        loader.dispose()
    if not isinstance(found, dict) or not found:
        raise ValueError("it must hold names of conditions, each with phrases, negative or limits")
    for name, row in found.items():
        if not _WORD.fullmatch(name):
            raise ValueError(f"{name!r} must be a word of a-z, 0-9, _ and -: it names a folder")
        if not isinstance(row, dict):
            raise ValueError(f"{name} must hold phrases, negative or limits")
        for key in row:
            _known(key, _KEYS, name)
        yield name, row


def _condition(name: str, row: Mapping[str, Any]) -> Condition:
    if name not in CONDITIONS and "phrases" not in row:
        raise ValueError(f"{name} needs phrases, a list of what its prompts begin with")
    found: dict[str, Any] = {}
    if "phrases" in row:
        found["phrases"] = tuple(_phrases(row["phrases"], f"{name}.phrases"))
    if "negative" in row:
        if not isinstance(row["negative"], str):
            raise ValueError(f"{name}.negative must be a text")
        found["negative"] = row["negative"]
    if "limits" in row:
        found["limits"] = dict(_limits(row["limits"], f"{name}.limits"))
    return replace(CONDITIONS[name], **found) if name in CONDITIONS else Condition(name, **found)


def _phrases(values: Any, place: str) -> Iterator[str]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"{place} must be a list of texts")
    for value in values:
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_PHRASE:
            raise ValueError(f"{place} must be texts of 1 to {MAX_PHRASE} characters, got {str(value)[:40]!r}")
        yield " ".join(value.split())


def _limits(values: Any, place: str) -> Iterator[tuple[str, tuple[float, float]]]:
    if values == "":  # written as `limits:` with nothing behind it
        return
    if not isinstance(values, dict):
        raise ValueError(f"{place} must hold lines like luminance: [0.1, 0.5]")
    for name, bounds in values.items():
        _known(name, STATISTICS, place)
        try:
            least, most = (float(bound) for bound in (bounds if isinstance(bounds, list) else ()))
        except (TypeError, ValueError):
            raise ValueError(f"{place}.{name} must be [least, most], got {bounds}") from None
        if not -math.inf < least < most < math.inf:
            raise ValueError(f"{place}.{name} must be two numbers, the smaller one first, got {bounds}")
        yield name, (least, most)


def _known(key: str, keys: tuple[str, ...], place: str) -> None:
    if key not in keys:
        near = get_close_matches(str(key), keys, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it may be {', '.join(keys)}"
        raise ValueError(f"{place} has no {key}; {hint}")


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.YAMLError):
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        return f"line {mark.line + 1}: {problem}" if mark else str(problem)
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
