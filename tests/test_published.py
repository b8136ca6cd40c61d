"""Published rows: typed in twice, checked by their own arithmetic, shown only where they can be compared."""

import re
from dataclasses import replace

import pytest
from made_results import made_results

from ude.evaluation.protocols import PROTOCOLS
from ude.evaluation.published import PublishedRow, published_rows, rows_of
from ude.evaluation.published_tables import BOOSTER, CLEARGRASP, KITTI, NUSCENES, TABLES
from ude.evaluation.results import FrameRow, Results, results_of_frames

ROWS = {name: {row.method: row for row in rows_of(table)} for name, table in TABLES.items()}


def split(counts: dict[str, int], *, alignment: str = "_median", **rules: object) -> Results:
    """Results of a number of frames without LiDAR per condition."""
    frames = tuple(
        FrameRow(frame_id=f"{condition}-{n}", condition=condition, scene="", valid=0, values={})
        for condition, count in counts.items()
        for n in range(count)
    )
    defaults = {"min_depth": 0.1, "max_depth": 80.0, "protocol": "md4all"}
    return results_of_frames(frames, modes=("", alignment) if alignment else ("",), **(defaults | rules))


NUSCENES_VAL = {"day-clear": 4449, "night-clear": 500, "night-rain": 102, "day-rain": 968}


@pytest.mark.parametrize(
    ("method", "printed"),
    [
        ("SSD-S", (0.1320, 6.267, 0.8496)),  # as in the last line of its ablation, where RMSE is 6.266
        ("SSD-T", (0.1391, 6.459, 0.8405)),
        ("md4all-DD", (0.1429, 6.782, 0.8267)),
        ("md4all baseline (day)", (0.1480, 7.065, 0.8208)),
        ("Tosi et al. (Depth Anything control)", (0.1361, 6.757, 0.8231)),
    ],
)
def test_the_conditions_weighted_by_their_frames_give_the_row_of_all_frames(method, printed):
    row, frames = ROWS["nuscenes"][method], NUSCENES.frames
    for metric, expected, step in zip(NUSCENES.metrics, printed, (1e-4, 1e-3, 1e-4), strict=True):
        conditions = ("day-clear", "night", "day-rain")
        mean = sum(frames[name] * row.metrics[name][metric] for name in conditions) / frames["all"]
        assert mean == pytest.approx(expected, abs=0.51 * step)
        if "all" in row.metrics:
            assert mean == pytest.approx(row.metrics["all"][metric], abs=1.01 * step)


# sums of the printed digits of a line, from another transcription of the same tables
SUMS = {
    "nuscenes": {
        "Monodepth2 (day)": 239.157,
        "Monodepth2 (all conditions)": 208.415,
        "RNW": 186.679,
        "PackNet-SfM": 243.515,
        "R4Dyn (without radar)": 246.249,
        "R4Dyn (radar at test)": 257.746,
        "md4all-AD": 255.139,
        "Tosi et al. (md4all control depth)": 257.147,
        "Tosi et al. (DPT control depth)": 256.636,
        "Tosi et al. (Depth Anything control)": 258.999,
    },
    "robotcar": {
        "DeFeatNet": 148.24,
        "ADIDS": 130.312,
        "RNW": 135.745,
        "WSGD": 166.328,
        "Monodepth2 (day)": 143.271,
        "md4all baseline (day)": 125.464,
        "Tosi et al. (md4all control depth)": 178.272,
        "Tosi et al. (DPT control depth)": 179.419,
        "Tosi et al. (Depth Anything control)": 179.525,
    },
}


@pytest.mark.parametrize(("data_set", "method"), [(name, method) for name, sums in SUMS.items() for method in sums])
def test_no_digit_was_mistyped(data_set, method):
    rows = ROWS[data_set][method].metrics.values()
    printed = [100 * value if name == "delta_1" else value for values in rows for name, value in values.items()]
    assert sum(printed) == pytest.approx(SUMS[data_set][method], abs=1e-9)


def test_the_rows_of_the_seeds_are_those_of_the_papers():
    assert ROWS["nuscenes"]["SSD-S"].metrics["night"] == pytest.approx(
        {"abs_rel": 0.1939, "rmse": 8.038, "delta_1": 0.7231}
    )
    assert ROWS["robotcar"]["SSD-T"].metrics["night"] == pytest.approx(
        {"abs_rel": 0.1137, "sq_rel": 0.685, "rmse": 3.46, "delta_1": 0.8614}
    )
    assert ROWS["robotcar"]["md4all-DD"].metrics["day-clear"]["abs_rel"] == 0.1128
    assert ROWS["nuscenes"]["RoSAMDepth (one frame)"].metrics["day-rain"] == {"abs_rel": 0.1298, "rmse": 6.801}
    assert ROWS["booster"]["Depth Anything, Tosi et al."].metrics["tom"] == pytest.approx(
        {
            "delta_1": 0.9891,
            "delta_1.15": 0.9347,
            "delta_1.05": 0.6304,
            "mae": 0.05431,
            "abs_rel": 0.05,
            "rmse": 0.07151,
        }
    )


@pytest.mark.parametrize("table", [BOOSTER, CLEARGRASP], ids=lambda table: table.data_set)
def test_a_share_over_all_pixels_lies_between_its_classes(table):
    for row in rows_of(table):
        for metric in ("delta_1", "delta_1.05", "mae"):
            low, high = sorted(row.metrics[name][metric] for name in ("tom", "other"))
            assert low <= row.metrics["all"][metric] <= high, (row.method, metric)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.data_set)
def test_every_row_is_plausible_and_of_a_known_protocol(table):
    rows, protocol = rows_of(table), PROTOCOLS[table.protocol]
    assert len({row.method for row in rows}) == len(rows)
    assert set(table.metrics) <= set(protocol.metrics)
    assert {*table.conditions, *table.frames} <= set(protocol.rows)
    for row in rows:
        assert row.source
        assert row.metrics
        for values in row.metrics.values():
            assert all(0 < value < 1 for name, value in values.items() if name.startswith("delta"))
            assert values["abs_rel"] < 3


def test_rows_are_compared_only_with_the_same_frames_bounds_protocol_and_alignment():
    def methods(rows: tuple[PublishedRow, ...]) -> set[str]:
        return {row.method for row in rows}

    rows, reason = published_rows("nuscenes", split(NUSCENES_VAL))
    assert methods(rows) == set(ROWS["nuscenes"])
    assert reason == ""
    unscaled, _ = published_rows("nuscenes", split(NUSCENES_VAL, alignment="_least_squares"))
    assert methods(rows) - methods(unscaled) == {"Monodepth2 (day)", "Monodepth2 (all conditions)", "RNW"}
    assert methods(published_rows("robotcar", split({"day-clear": 702, "night-clear": 709}, max_depth=50.0))[0]) == set(
        ROWS["robotcar"]
    )


@pytest.mark.parametrize(
    ("data_set", "results", "reason"),
    [
        ("cityscapes", split(NUSCENES_VAL), "no published rows are known for cityscapes"),
        ("nuscenes", split(NUSCENES_VAL, protocol="ude"), "protocol md4all, these results to ude"),
        ("nuscenes", split(NUSCENES_VAL, max_depth=60.0), "bounded by 0.1 m and 80 m, these results by 0.1 m and 60 m"),
        ("nuscenes", split(NUSCENES_VAL | {"day-rain": 967}), r"over 968 frames of day-rain \(official val"),
        (
            "nuscenes",
            made_results(),
            r"over 4,449 frames of day-clear \(official val, front camera\), these results over 40",
        ),
        (
            "kitti",
            split({"day-clear": 697}, protocol="kitti_garg", min_depth=0.001, alignment=""),
            "cannot be compared: they are aligned by median, these results by none",
        ),
    ],
)
def test_rows_that_cannot_be_compared_are_left_out_with_a_reason(data_set, results, reason):
    rows, found = published_rows(data_set, results)
    assert rows == ()
    assert re.search(reason, found), found


def test_skipped_frames_count_as_frames_of_the_split():
    results = split({"day-clear": 697}, protocol="kitti_garg", min_depth=0.001)
    assert len(published_rows("kitti", results)[0]) == len(rows_of(KITTI))
    assert published_rows("kitti", replace(results, frames=results.frames[1:]))[0] == ()
