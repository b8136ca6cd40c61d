"""Results of an evaluation: per frame, per row of a table, and as text."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from .accumulate import condition_means
from .bootstrap import bounds, resampled_means
from .protocols import ALL, PROTOCOLS
from .ranges import Ranges
from .tables import DECIMALS, LABELS, aligned_table, number

MODE_TITLES = {
    "": "plain prediction",
    "_flip": "flip-averaged",
    "_median": "median-scaled",
    "_flip_median": "flip-averaged and median-scaled",
    "_least_squares": "aligned by scale and shift",
    "_flip_least_squares": "flip-averaged and aligned by scale and shift",
}


@dataclass(frozen=True, kw_only=True)
class FrameRow:
    """One frame, or one part of it by a protocol with classes.

    Attributes:
        frame_id: name of the frame.
        condition: recording condition, subset, or part of the frame: a member of Results.rows.
        scene: name of the drive; "" if unknown.
        valid: number of valid LiDAR returns.
        values: metrics by name + mode suffix; none without valid returns, and of a relative predictor those of the
            aligned modes only.
    """

    frame_id: str
    condition: str
    scene: str
    valid: int
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Results:
    """What evaluate() measured; a row without frames has None everywhere.

    Attributes:
        modes: suffixes of the modes, plain ones first.
        means: by row, the mean of every metric + mode suffix over its frames, and "frames".
        frames: what the means are of.
        min_depth: lower bound of the measured depths [m].
        max_depth: upper bound of the measured depths [m].
        protocol: one of PROTOCOLS.
        ranges: errors by range of measured depth; None for results of older files.
        seconds: wall time of the evaluation [s]; None where nobody measured it.
        network_seconds: time of the network in it [s].
    """

    modes: tuple[str, ...]
    means: Mapping[str, Mapping[str, float | None]]
    frames: tuple[FrameRow, ...]
    min_depth: float
    max_depth: float
    protocol: str
    ranges: Ranges | None = None
    seconds: float | None = None
    network_seconds: float | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return PROTOCOLS[self.protocol].metrics

    @property
    def rows(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of a table, each with the conditions of its frames."""
        return PROTOCOLS[self.protocol].rows

    @property
    def rules(self) -> dict[str, str | float]:
        """What decides how the predictions were measured; results of others cannot be compared."""
        bounds = {"min_depth": self.min_depth, "max_depth": self.max_depth}
        return {"protocol": self.protocol, "alignment": self.alignment.removeprefix("_") or "none", **bounds}

    @property
    def skipped(self) -> tuple[str, ...]:
        """The frame_id of every frame without a valid LiDAR return."""
        return tuple(frame.frame_id for frame in self._whole if not frame.valid)

    @property
    def count(self) -> int:
        """Number of frames, measured or skipped."""
        return len(self._whole)

    @property
    def frames_per_second(self) -> float | None:
        """Frames a second of wall time."""
        return self.count / self.seconds if self.seconds else None

    @property
    def network_frames_per_second(self) -> float | None:
        """Frames a second of the network alone."""
        return self.count / self.network_seconds if self.network_seconds else None

    @property
    def alignment(self) -> str:
        """Suffix of the aligned modes: "_median", "_least_squares", or "" where nothing is aligned."""
        return self.modes[-1].removeprefix("_flip")

    @property
    def _whole(self) -> list[FrameRow]:
        """One of the rows of every frame."""
        return [frame for frame in self.frames if frame.condition in self.rows[ALL]]

    def members(self, row: str) -> list[FrameRow]:
        """The measured frames behind one of the rows."""
        return [frame for frame in self.frames if frame.valid and frame.condition in self.rows[row]]

    def frame_values(self, row: str, column: str) -> tuple[np.ndarray, list[str]]:
        """Values (N,) of a metric + mode suffix over the frames of one of the rows, and their N scenes."""
        frames = self.members(row)
        return np.array([frame.values[column] for frame in frames]), [frame.scene for frame in frames]

    def intervals(self, row: str, *, seed: int = 0) -> dict[str, tuple[float, float]]:
        """95 % scene-bootstrap interval of every metric + mode suffix of a row; empty with fewer than two scenes."""
        frames = self.members(row)
        scenes = [frame.scene for frame in frames]
        if len(set(scenes)) < 2:
            return {}
        columns = list(frames[0].values)
        values = np.array([[frame.values[column] for column in columns] for frame in frames])
        low, high = bounds(resampled_means(values, scenes, seed=seed), len(set(scenes))).tolist()
        return dict(zip(columns, zip(low, high, strict=True), strict=True))

    def table(self, mode: str = "") -> str:
        """Aligned text table (also valid Markdown) of one mode: a line per row, a column per metric."""
        header = ["condition", "frames", *(LABELS[metric] for metric in self.metrics)]
        lines = [
            [row, str(means["frames"]), *(number(means[metric + mode], DECIMALS[metric]) for metric in self.metrics)]
            for row, means in self.means.items()
        ]
        return aligned_table(header, lines)


def results_of_frames(
    frames: tuple[FrameRow, ...],
    *,
    modes: tuple[str, ...],
    min_depth: float,
    max_depth: float,
    protocol: str,
    ranges: Ranges | None = None,
    seconds: float | None = None,
    network_seconds: float | None = None,
) -> Results:
    """Results whose means are those of the frames.

    Args:
        frames: the frames, measured or skipped.
        modes: mode suffixes; the means of those that no frame has are None.
        min_depth: lower bound of the LiDAR depths [m].
        max_depth: upper bound of the LiDAR depths [m].
        protocol: one of PROTOCOLS.
        ranges: errors by range of measured depth.
        seconds: wall time of the evaluation [s].
        network_seconds: time of the network in it [s].
    """
    rules, measured = PROTOCOLS[protocol], [frame for frame in frames if frame.valid]
    columns = [metric + mode for mode in modes for metric in rules.metrics]
    known = [column for column in columns if not measured or column in measured[0].values]
    values = torch.tensor([[frame.values[column] for column in known] for frame in measured], dtype=torch.float64)
    conditions = [frame.condition for frame in measured]
    means = condition_means(values.reshape(-1, len(known)), conditions, known, rules.rows)
    return Results(
        modes=modes,
        means={row: {**dict.fromkeys(["frames", *columns]), **found} for row, found in means.items()},
        frames=frames,
        min_depth=min_depth,
        max_depth=max_depth,
        protocol=protocol,
        ranges=ranges,
        seconds=seconds,
        network_seconds=network_seconds,
    )
