"""The passes of a network over corrupted frames: each is measured once and kept as a row of a file."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm
from yacs.config import CfgNode

from ude.config import ConfigError, config_hash
from ude.data.evaluation_frames import EvaluationLoader
from ude.data.sample import CONDITIONS, FrameSource
from ude.evaluation.corruptions import CORRUPTIONS, SEVERITIES, VERSION
from ude.evaluation.corruptions.frames import CorruptedFrames
from ude.evaluation.corruptions.scores import CLEAN
from ude.evaluation.evaluate import check_rules, evaluate
from ude.evaluation.results import Results
from ude.files import DataError, append_jsonl, lock_folder, read_jsonl

from .evaluation import evenly_spread, measured_by
from .frames import evaluation_loader
from .identity import naming
from .predictor_kinds import kind_of, weights_hash
from .predictors import NamedPredictor, device, predictor

ROWS = "corruptions.jsonl"
_DATA = ("SOURCE", "ROOT", "VERSION", "RULES", "CROP", "SIZE", "EXCLUDE")
_NO_MATTER = ("BATCH_SIZE", "FLIP")

Values = dict[tuple[str, int], dict[str, float]]
"""Metrics by name + mode suffix, and the number of "frames", by corruption and severity."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What is measured.

    Attributes:
        split: official name or file.
        conditions: frames of these recording conditions only, since clean frames are the reference.
        corruptions: names of CORRUPTIONS.
        severities: some of 1 to 5.
        frames: at most so many frames, evenly spread over the split; None takes all.

    Raises:
        ConfigError: one of them is none.
    """

    split: str
    conditions: Sequence[str] = ("day-clear",)
    corruptions: Sequence[str] = tuple(CORRUPTIONS)
    severities: Sequence[int] = SEVERITIES
    frames: int | None = None

    def __post_init__(self) -> None:
        known = {"conditions": CONDITIONS, "corruptions": tuple(CORRUPTIONS), "severities": SEVERITIES}
        for option, names in known.items():
            if unknown := [value for value in getattr(self, option) if value not in names]:
                raise ConfigError(f"--{option}: must be of {', '.join(map(str, names))}, got {unknown[0]}")
        if self.frames is not None and self.frames < 1:
            raise ConfigError(f"--frames {self.frames}: must be at least 1")

    @property
    def passes(self) -> list[tuple[str, int]]:
        """Every corruption and severity, the clean frames first."""
        chosen = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
        return [CLEAN, *((name, s) for name, s in chosen if name in self.corruptions and s in self.severities)]

    def chosen(self, source: FrameSource) -> list[int]:
        """Numbers of the frames that are measured.

        Raises:
            DataError: there is none.
        """
        members = [index for index in range(len(source)) if source.condition(index) in self.conditions]
        if not members:
            names = " or ".join(self.conditions)
            raise DataError(f"split {self.split} has no {names} frame; choose with --split or --conditions")
        return evenly_spread(members, self.frames or len(members))


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Passes of one network.

    Attributes:
        key: what all of a pass depends on, but its corruption and severity.
        folder: where the rows are.
        known: what earlier calls have measured.
        missing: what is to be measured.
        network: None where nothing is missing.
        weights: what names the network.
    """

    key: str
    folder: Path
    known: Values
    missing: list[tuple[str, int]]
    network: NamedPredictor | None
    weights: str


class Measured(NamedTuple):
    """All passes of one network, and the frames per second of those that were measured now; None if none was."""

    values: Values
    frames_per_second: float | None


def prepare_passes(
    cfg: CfgNode, benchmark: Benchmark, frame_ids: Sequence[str], *, weights: str, folder: Path, option: str
) -> Passes:
    """Looks up what is measured already, and loads the network if it is needed.

    Args:
        cfg: the config.
        benchmark: what is measured.
        frame_ids: names of the frames.
        weights: run folder, hub id, or checkpoint.
        folder: where the rows are.
        option: which option names the weights, for errors.

    Raises:
        DataError: there is no such network, or it is a folder of saved predictions.
    """
    with naming(option):
        if kind_of(weights) == "saved":
            raise DataError(f"{weights} holds predictions for clean frames only; name the network that made them")
    sections = [f"DATA.{key}" for key in _DATA] + [f"EVAL.{key}" for key in cfg.EVAL if key not in _NO_MATTER]
    key = digest([config_hash(cfg, sections), weights_hash(weights), str(cfg.SEED), str(VERSION), *frame_ids])
    rows = read_jsonl(folder / ROWS) if (folder / ROWS).is_file() else []
    known = {(row["corruption"], row["severity"]): row["values"] for row in rows if row.get("key") == key}
    missing = [which for which in benchmark.passes if which not in known]
    network = None
    with naming(option):
        if missing:
            network = predictor(weights, device(cfg))
            check_rules(cfg.EVAL.PROTOCOL, cfg.EVAL.ALIGNMENT, metric=network.metric)
    return Passes(key=key, folder=folder, known=known, missing=missing, network=network, weights=weights)


def run_passes(cfg: CfgNode, source: FrameSource, indices: Sequence[int], passes: Passes) -> Measured:
    """Measures what is missing, keeps each pass as soon as it is done, and returns all.

    Raises:
        DataError: a pass has other frames than the clean one; some could not be read.
    """
    measured = dict(passes.known)
    for which in measured:
        _check_frames(measured, which, passes.folder)
    if not passes.missing:
        return Measured(measured, None)
    count, seconds = 0, 0.0
    frames = evaluation_loader(cfg, source).dataset
    with lock_folder(passes.folder):
        for name, severity in tqdm(passes.missing, desc=f"corruptions of {passes.weights}", unit="pass"):
            corruption = None if (name, severity) == CLEAN else name
            taken = CorruptedFrames(frames, indices, corruption=corruption, severity=severity, seed=cfg.SEED)
            results = _one_pass(cfg, passes.network, taken)
            values = {metric: value for metric, value in results.means["all"].items() if value is not None}
            measured[name, severity] = values
            count, seconds = count + results.count, seconds + results.seconds
            _check_frames(measured, (name, severity), passes.folder)
            row = {"key": passes.key, "corruption": name, "severity": severity, "values": values}
            append_jsonl(passes.folder / ROWS, row)
    return Measured(measured, count / seconds)


def digest(parts: Sequence[str]) -> str:
    """32 hexadecimal digits that stand for some texts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _check_frames(measured: Values, which: tuple[str, int], folder: Path) -> None:
    """Refuses a pass with other than the clean frames."""
    found, clean = (measured[key]["frames"] for key in (which, CLEAN)) if CLEAN in measured else (0, 0)
    if found != clean:
        raise DataError(
            f"{which[0]} at severity {which[1]} was measured on {found} frames, the clean pass on {clean}: some could "
            f"not be read; check the files, remove {folder / ROWS} and run again"
        )


def _one_pass(cfg: CfgNode, network: NamedPredictor, frames: CorruptedFrames) -> Results:
    """Results of the frames in the plain and the aligned mode."""
    loader = EvaluationLoader(frames, cfg.EVAL.BATCH_SIZE, num_workers=cfg.RUN.NUM_WORKERS)
    rules = {**measured_by(cfg), "metric": network.metric}
    return evaluate(network.predict, loader, **rules, flip=False, device=device(cfg), progress=False)
