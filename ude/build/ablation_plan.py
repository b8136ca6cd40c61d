"""What an ablation is to do, from its YAML file: teachers, translations, students, and the seeds of each."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ude.config import ConfigError, load_config, yaml_text

TEACHER = "teacher"
TRANSLATED = "translated"
_KEYS = ("OUTPUT_DIR", "SPLIT", "SEEDS", "REFERENCE", "SET", "TEACHER", "TRANSLATION", "STUDENTS")
_PART_KEYS = ("CONFIG", "SET", "SEEDS")
_OWN = {
    "SEED": "use SEEDS",
    "NAME": "runs are named by their rows and seeds",
    "OUTPUT_DIR": "set OUTPUT_DIR of the file, or on the command line",
}
"""What to do instead of changing the keys that an ablation sets itself, by key."""


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
    content, pairs = yaml_text.read(path), list(zip(overrides[::2], overrides[1::2], strict=False))
    _require_keys(str(path), content, _KEYS, needed=("OUTPUT_DIR", "TEACHER", "TRANSLATION", "STUDENTS"))
    seeds = _seeds(str(path), content.get("SEEDS", [0]))
    common = content.get("SET") or {}
    _require_free(f"{path}: SET", common)
    _require_free("command line", [key for key, _ in pairs if key != "OUTPUT_DIR"])
    teacher = _part(path, TEACHER, content["TEACHER"], seeds, common)
    students = tuple(_part(path, name, value, seeds, common) for name, value in (content["STUDENTS"] or {}).items())
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
    _require_fitting(path, ablation)
    return ablation


def folder_of(seed: int) -> str:
    """Folder, among the translations of the first seed, of those of another one."""
    return f"seed-{seed}"


def _require_fitting(path: Path, ablation: Ablation) -> None:
    """Refuse before hours of work what would end between them, or compare what is not alike."""
    if set(ablation.teacher.seeds) != set(ablation.seeds):
        given, wanted = [*ablation.teacher.seeds], [*ablation.seeds]
        raise ConfigError(f"{path}: TEACHER: SEEDS {given} must be those of the ablation, {wanted}; leave them out")
    names = [ablation.run_name(part, 0) for part in ablation.parts]
    if len(set(names)) < len(names) or TRANSLATED in [name.removesuffix("-0") for name in names]:
        raise ConfigError(f"{path}: STUDENTS: two rows would share a run folder: {', '.join(names)}")
    if ablation.reference and ablation.reference not in [part.name for part in ablation.parts]:
        raise ConfigError(f"{path}: REFERENCE {ablation.reference} is no row of STUDENTS")
    configs = {part.name: ablation.config(part, part.seeds[0]) for part in (*ablation.parts, ablation.translation)}
    _require_translated(path, ablation, configs)

    from .sources import require_evaluation_split  # slow to import

    for part in ablation.parts:
        require_evaluation_split(configs[part.name], ablation.split, option=f"{path}: SPLIT")


def _require_translated(path: Path, ablation: Ablation, configs: Mapping[str, CfgNode]) -> None:
    """Check that the translations of the ablation will have all conditions that its students draw from."""
    from .sources import uses_translations

    made = [*configs[TRANSLATED].TRANSLATOR.CONDITIONS]
    known = [*made, *(f"{condition}-{seed}" for seed in ablation.translation.seeds[1:] for condition in made)]
    for part in ablation.students:
        cfg = configs[part.name]
        ours = uses_translations(cfg) and Path(cfg.DATA.TRANSLATED.ROOT) == ablation.output / TRANSLATED
        if ours and (absent := [name for name in cfg.DATA.TRANSLATED.CONDITIONS if name not in known]):
            raise ConfigError(
                f"{path}: {part.name}: DATA.TRANSLATED.CONDITIONS: {', '.join(absent)} will not be translated; choose "
                f"among {', '.join(known)}, or add it to TRANSLATOR.CONDITIONS or the SEEDS of TRANSLATION"
            )


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
    if name != TRANSLATED and not set(own) <= set(seeds):  # each has a teacher of its own; translations share one
        raise ConfigError(f"{where}: SEEDS {[*own]} must be among those of the ablation, {[*seeds]}")
    changes = content.get("SET") or {}
    _require_free(f"{where}: SET", changes)
    return Part(str(name), path.parent / str(content["CONFIG"]), {**common, **changes}, own)


def _require_free(where: str, keys: Iterable[str]) -> None:
    """Refuse to change a key that the ablation sets itself."""
    for key in keys:
        if key in _OWN:
            raise ConfigError(f"{where}: {key} is the ablation's own; {_OWN[key]}")


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
