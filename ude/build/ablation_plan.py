"""What an ablation is to do, from its YAML file: teachers, translations, students, and the seeds of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ude.config import ConfigError, load_config, yaml_text

TEACHER = "teacher"
TRANSLATED = "translated"
_KEYS = ("OUTPUT_DIR", "SPLIT", "SEEDS", "REFERENCE", "SET", "TEACHER", "TRANSLATION", "STUDENTS")
_PART_KEYS = ("CONFIG", "SET", "SEEDS")


@dataclass(frozen=True)
class Part:
    """A row of the table, or the translations: a config, what is changed in it, and the seeds it is trained with."""

    name: str
    config: Path
    changes: Mapping[str, Any]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Ablation:
    """What tools/ablation.py does; `overrides` are KEY VALUE pairs in one flat sequence, for every config."""

    output: Path
    split: str
    seeds: tuple[int, ...]
    reference: str
    overrides: tuple[str, ...]
    teacher: Part
    translation: Part
    students: tuple[Part, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The rows of the table: the teacher, then the students."""
        return (self.teacher, *self.students)

    def run_name(self, part: Part, seed: int) -> str:
        """Name of the run folder of a row and a seed."""
        return f"{'_'.join(''.join(c if c.isalnum() else ' ' for c in part.name).split())}-{seed}"

    def config(self, part: Part, seed: int) -> CfgNode:
        """The config of a run: that of its file with the folders of the ablation, its seed and its changes.

        Raises:
            ConfigError: all problems of it.
        """
        teacher = self.output / self.run_name(self.teacher, seed)
        values = {"OUTPUT_DIR": self.output, "SEED": seed}
        if part is self.translation:
            first = self.output / self.run_name(self.teacher, self.seeds[0])
            values |= {"NAME": TRANSLATED, "TRANSLATOR.DEPTH_MODEL": first}
            if seed != part.seeds[0]:
                values |= {"OUTPUT_DIR": self.output / TRANSLATED, "NAME": folder_of(seed)}
        else:
            values["NAME"] = self.run_name(part, seed)
        if part in self.students:
            values |= {"MODEL.TEACHER": teacher, "DATA.TRANSLATED.ROOT": self.output / TRANSLATED}
        texts = {key: str(value) for key, value in values.items()}
        texts |= {key: value if isinstance(value, str) else json.dumps(value) for key, value in part.changes.items()}
        return load_config(part.config, [*(word for pair in texts.items() for word in pair), *self.overrides])


def read_ablation(path: str | Path, overrides: Sequence[str] = ()) -> Ablation:
    """The ablation of a YAML file; names of configs in it are relative to it.

    Args:
        path: the file.
        overrides: KEY VALUE pairs for every config, and OUTPUT_DIR in place of the file's.

    Raises:
        ConfigError: the file, or one of the configs as it changes them, is not right.
    """
    path = Path(path)
    content = yaml_text.read(path)
    _require_keys(str(path), content, _KEYS, needed=("OUTPUT_DIR", "TEACHER", "TRANSLATION", "STUDENTS"))
    seeds = _seeds(str(path), content.get("SEEDS", [0]))
    common = content.get("SET") or {}
    teacher = _part(path, TEACHER, content["TEACHER"], seeds, common)
    students = tuple(_part(path, name, value, seeds, common) for name, value in (content["STUDENTS"] or {}).items())
    pairs = list(zip(overrides[::2], overrides[1::2], strict=False))
    ablation = Ablation(
        output=Path(dict(pairs).get("OUTPUT_DIR", content["OUTPUT_DIR"])),
        split=content.get("SPLIT", "test"),
        seeds=seeds,
        reference=content.get("REFERENCE", ""),
        overrides=(*(word for pair in pairs if pair[0] != "OUTPUT_DIR" for word in pair), *overrides[2 * len(pairs) :]),
        teacher=teacher,
        translation=_part(path, TRANSLATED, content["TRANSLATION"], seeds, common, default=seeds[:1]),
        students=students,
    )
    names = [ablation.run_name(part, 0) for part in ablation.parts]
    if len(set(names)) < len(names) or TRANSLATED in [name.removesuffix("-0") for name in names]:
        raise ConfigError(f"{path}: STUDENTS: two rows would share a run folder: {', '.join(names)}")
    if ablation.reference and ablation.reference not in [part.name for part in ablation.parts]:
        raise ConfigError(f"{path}: REFERENCE {ablation.reference} is no row of STUDENTS")
    for part in (*ablation.parts, ablation.translation):  # before hours of work, not between them
        ablation.config(part, part.seeds[0])
    return ablation


def folder_of(seed: int) -> str:
    """Folder, among the translations of the first seed, of those of another one."""
    return f"seed-{seed}"


def _part(
    path: Path,
    name: str,
    content: Any,
    seeds: tuple[int, ...],
    common: Mapping[str, Any],
    *,
    default: tuple[int, ...] = (),
) -> Part:
    where = f"{path}: {name}"
    _require_keys(where, content, _PART_KEYS, needed=("CONFIG",))
    own = _seeds(where, content.get("SEEDS", list(default or seeds)))
    if not set(own) <= set(seeds):
        raise ConfigError(f"{where}: SEEDS {[*own]} must be among those of the ablation, {[*seeds]}")
    return Part(str(name), path.parent / str(content["CONFIG"]), {**common, **(content.get("SET") or {})}, own)


def _require_keys(where: str, content: Any, known: tuple[str, ...], *, needed: tuple[str, ...]) -> None:
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: must have the keys {', '.join(needed)}")
    missing, unknown = [key for key in needed if key not in content], [key for key in content if key not in known]
    if missing or unknown:
        problem = f"has no {', '.join(missing)}" if missing else f"unknown key {unknown[0]}"
        raise ConfigError(f"{where}: {problem}; the keys are {', '.join(known)}")


def _seeds(where: str, value: Any) -> tuple[int, ...]:
    numbers = isinstance(value, list) and all(type(seed) is int and seed >= 0 for seed in value)
    if not numbers or not value or len(set(value)) < len(value):
        raise ConfigError(f"{where}: SEEDS must be a list of different numbers from 0 on, got {value!r}")
    return tuple(value)
