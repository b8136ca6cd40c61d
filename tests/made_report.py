"""Reports with made-up results and pictures, for the tests of what a report shows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from made_results import made_results

from ude.evaluation.charts import Chart, Curve
from ude.evaluation.gallery import Gallery, PicturedFrame, gallery
from ude.evaluation.gaps import gap_rows
from ude.evaluation.published import PublishedRow
from ude.evaluation.range_charts import range_charts
from ude.evaluation.ranges import RangeCurve, Ranges
from ude.evaluation.report import Highlight, Report
from ude.evaluation.report_tables import Evaluated
from ude.evaluation.results import Results
from ude.evaluation.seeds import mean_of_seeds
from ude.evaluation.significance import paired_rows
from ude.evaluation.summary import comparison_table

HOSTILE = "<script>document.title='broken'</script>\"'&"
LATEX = r"\input{x}"
LONG = "a_long_name_" * 17  # 204 characters without a place to break


def picture(height: int = 36, width: int = 64) -> np.ndarray:
    """An RGB image with a gradient."""
    return np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)


def pictured(frame_id: str, condition: str, names: Sequence[str], **options: object) -> PicturedFrame:
    """A frame of depths from near to far, each predictor 10 % farther than the one before."""
    depth = np.tile(np.geomspace(1, 80, 64), (36, 1))
    lidar = np.zeros((72, 128))
    lidar[40::5, ::7] = np.geomspace(2, 70, 19)
    depths = {name: depth * (1 + 0.1 * number) for number, name in enumerate(names)}
    options = {"notes": {name: f"absRel of {name}" for name in names}, "note": "best"} | options
    return PicturedFrame(
        frame_id=frame_id, condition=condition, image=picture(), lidar_depth=lidar, depths=depths, **options
    )


def made_gallery(names: Sequence[str], conditions: Sequence[str] = ("day-clear", "night-clear")) -> Gallery:
    """Two frames per condition."""
    return gallery([pictured(f"frame-{number}", name, names) for name in conditions for number in (1, 2)], text="Text.")


def with_ranges(results: Results, factor: float = 1.0) -> Results:
    """The results with errors by range, the last bin without returns."""
    curve = RangeCurve(abs_rel=(0.1 * factor, 0.2 * factor, None), delta_1=(0.9, 0.8, None))
    curves = {row: {"": curve, results.alignment: curve} for row in results.rows}
    ranges = Ranges(edges=(0, 10, 40, 80), returns=dict.fromkeys(results.rows, (30, 10, 0)), curves=curves)
    return replace(results, ranges=ranges)


def published_row(method: str = "a paper's method", source: str = "Someone, arXiv 0000.00000, Table 1") -> PublishedRow:
    """A published row without rain."""
    metrics = {"day-clear": {"abs_rel": 0.01, "delta_1": 0.99}, "night": {"abs_rel": 0.02, "rmse": 8.0}}
    return PublishedRow(
        method=method,
        data_set="nuscenes",
        protocol="md4all",
        alignment="none",
        supervision="M",
        source=source,
        metrics=metrics,
    )


def full_report(names: Sequence[str] = ("teacher", HOSTILE), *, protocol: str = "md4all", seeds: int = 1) -> Report:
    """A report with every part, and a hostile text wherever there is one."""
    driving = protocol == "md4all"
    alignment = "_median" if driving else "_least_squares"
    results = {
        name: [
            with_ranges(made_results(0.01 * place, seed=seed, protocol=protocol, alignment=alignment), 1 + place)
            for seed in range(seeds)
        ]
        for place, name in enumerate(names)
    }
    published = [published_row(), published_row(LATEX, HOSTILE)] if driving else []
    table = comparison_table(results, published=published)
    means = {name: mean_of_seeds(found) for name, found in results.items()}
    steps = [(step, 1 / (step + 1)) for step in range(500)]
    return Report(
        title=HOSTILE,
        text=[HOSTILE, LATEX],
        highlights=[Highlight(HOSTILE, HOSTILE, HOSTILE)],
        facts={HOSTILE: HOSTILE, "split": LONG},
        table=table,
        paired=paired_rows(results, names[0], conditions=table.conditions) if len(names) > 1 else (),
        ranges=range_charts(means, table.conditions),
        gaps=gap_rows(means[names[0]], means[names[-1]]) if driving else (),
        gallery=made_gallery(names, [*table.conditions[:2], HOSTILE]),
        charts=[Chart(HOSTILE, [Curve(HOSTILE, steps), Curve(LONG, steps)], x_label=HOSTILE)],
        evaluated=[Evaluated(name=name, kind=HOSTILE, weights=LONG, sha256="0" * 64) for name in names],
        versions={HOSTILE: HOSTILE},
        commands=[HOSTILE, LONG],
    )
