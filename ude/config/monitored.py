"""What RUN.MONITOR may name: the rows and columns of the result tables by EVAL.PROTOCOL."""

from collections.abc import Iterator
from difflib import get_close_matches
from os.path import normpath

from yacs.config import CfgNode

_ROWS = {
    "drivingstereo": ("sunny", "cloudy", "foggy", "rainy", "all"),
    "booster": ("tom", "other", "all"),
    "cleargrasp": ("tom", "other", "all"),
}
_DRIVING_ROWS = ("day-clear", "day-rain", "night-clear", "night-rain", "night", "all")
_TOM_METRICS = ("delta_1", "delta_1.15", "delta_1.05", "mae", "abs_rel", "rmse")
_METRICS = {"booster": _TOM_METRICS, "cleargrasp": _TOM_METRICS}
_DRIVING_METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3")


def monitored(protocol: str, alignment: str, *, flip: bool) -> list[str]:
    """All values of RUN.MONITOR but "": every ``row/metric`` + mode suffix of a result table.

    Args:
        protocol: EVAL.PROTOCOL.
        alignment: EVAL.ALIGNMENT.
        flip: EVAL.FLIP.
    """
    aligned = ("",) if alignment == "none" else ("", f"_{alignment}")
    modes = [flipped + mode for mode in aligned for flipped in (("", "_flip") if flip else ("",))]
    rows, metrics = _ROWS.get(protocol, _DRIVING_ROWS), _METRICS.get(protocol, _DRIVING_METRICS)
    return [f"{row}/{metric}{mode}" for row in rows for metric in metrics for mode in modes]


def problems_of_monitor(config: CfgNode) -> Iterator[tuple[str, str]]:
    """The (dotted key, problem) pairs of RUN.MONITOR and RUN.MONITOR_SPLIT."""
    run, rules = config.RUN, config.EVAL
    if not run.MONITOR:
        return
    if config.STAGE == "self_distillation":
        yield "RUN.MONITOR", f"must be '' when STAGE is self_distillation, whose depth has no unit, got {run.MONITOR!r}"
    known = monitored(rules.PROTOCOL, rules.ALIGNMENT, flip=rules.FLIP)
    if run.MONITOR not in known:
        close = get_close_matches(run.MONITOR, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        meaning = (
            f"'' or row/metric + mode of the tables of EVAL.PROTOCOL {rules.PROTOCOL} and EVAL.ALIGNMENT "
            f"{rules.ALIGNMENT}, such as {known[0]} or {known[-1]}"
        )
        yield "RUN.MONITOR", f"must be {meaning}, got {run.MONITOR!r}{hint}"
    if not run.MONITOR_SPLIT:
        yield "RUN.MONITOR_SPLIT", "must be a split or file of held-out training scenes with RUN.MONITOR, got ''"
    elif normpath(run.MONITOR_SPLIT) == normpath(config.DATA.SPLIT_VAL):
        meaning = "other scenes than DATA.SPLIT_VAL, which is reported and must choose no checkpoint"
        yield "RUN.MONITOR_SPLIT", f"must be {meaning}, got {run.MONITOR_SPLIT!r}"
