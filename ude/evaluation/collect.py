"""Results from the numbers that came off the device."""

from collections.abc import Sequence

from .alignment import mode_suffixes
from .protocols import PROTOCOLS
from .ranges import mean_ranges
from .results import FrameRow, Results, results_of_frames


def results_of_table(
    names: Sequence[tuple[str, str, str]],
    table: Sequence[Sequence[float]],
    *,
    alignment: str,
    flip: bool,
    min_depth: float,
    max_depth: float,
    protocol: str,
    metric: bool = True,
    seconds: float | None = None,
    network_seconds: float | None = None,
) -> Results:
    """Results of what frame_table() and range_sums() gave, one line per frame.

    Args:
        names: frame_id, recording condition and scene of every frame.
        table: the columns of frame_table(), then those of range_sums().
        alignment: one of ALIGNMENTS.
        flip: whether there are flip-averaged modes.
        min_depth: lower bound of the LiDAR depths [m].
        max_depth: upper bound of the LiDAR depths [m].
        protocol: one of PROTOCOLS.
        metric: whether the predictions are metric; the plain modes of relative ones have no values.
        seconds: wall time of the evaluation [s].
        network_seconds: time of the network in it [s].
    """
    rules, modes = PROTOCOLS[protocol], mode_suffixes(alignment, flip=flip)
    columns = [name + mode for mode in modes for name in rules.metrics]
    hidden = () if metric else columns[: len(columns) // 2]
    edges = rules.edges(max_depth)
    curves = ("", modes[-1].removeprefix("_flip")) if alignment != "none" else ("",)
    width, bins = 1 + len(columns), (len(edges) - 1) * (1 + 2 * len(curves))
    frames, sums = [], []
    for (frame_id, recorded, scene), line in zip(names, table, strict=True):
        for place, part in enumerate(rules.parts):
            valid, *values = line[place * width : (place + 1) * width]
            found = {name: value for name, value in zip(columns, values, strict=True) if name not in hidden}
            frames.append(
                FrameRow(
                    frame_id=frame_id,
                    condition=part if rules.classes else rules.condition(frame_id, recorded),
                    scene=scene,
                    valid=int(valid),
                    values=found if valid else {},
                )
            )
            start = len(rules.parts) * width + place * bins
            sums.append(line[start : start + bins])
    ranges = mean_ranges(sums, [frame.condition for frame in frames], rows=rules.rows, edges=edges, modes=curves)
    return results_of_frames(
        tuple(frames),
        modes=modes,
        min_depth=min_depth,
        max_depth=max_depth,
        protocol=protocol,
        ranges=ranges if metric else ranges.of_modes(curves[1:]),
        seconds=seconds,
        network_seconds=network_seconds,
    )
