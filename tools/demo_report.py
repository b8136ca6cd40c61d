"""The demo's evaluation and its report.html."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from yacs.config import CfgNode

from ude.build.comparison import baseline_predictors, compare
from ude.build.evaluation import evaluation_name, results_extra
from ude.build.pictures import translation_pictures
from ude.build.predictors import NamedPredictor, device, predictor
from ude.build.report import evaluation_report
from ude.build.runs import run_folder
from ude.config import load_config
from ude.data.translated import TranslatedFrames
from ude.evaluation.charts import Chart, Curve
from ude.evaluation.gallery import Gallery, gallery_row
from ude.evaluation.gaps import GapRow, gap_rows
from ude.evaluation.report import Highlight, Report, render_report
from ude.evaluation.result_files import write_results
from ude.evaluation.results import MODE_TITLES, Results
from ude.evaluation.summary import REPORTED
from ude.files import read_json, read_jsonl, write_image, write_json, write_text

SPLIT = "test"
_TRANSLATED = "Depth and error in the rows of training frames are those of the translation."


def write_report(config: Path, overrides: Sequence[str], *, fast: bool) -> str:
    """Evaluate teacher, student and baselines on the test streets and write report.html, unless it is up to date.

    Args:
        config: config of the demo's student.
        overrides: KEY VALUE overrides of the config.
        fast: the run was cut short; the report says so.

    Returns:
        What to print: tables of teacher and student, and where the report lies.
    """
    cfg = load_config(config, overrides)
    report, stamp = Path(cfg.OUTPUT_DIR) / "report.html", Path(cfg.OUTPUT_DIR) / "report.json"
    made_from = {
        name: read_json(Path(cfg.OUTPUT_DIR) / name / "version.json")["config_hash"] for name in ("teacher", "student")
    }
    if report.is_file() and stamp.is_file() and read_json(stamp) == made_from:
        return f"report: {report} (there already)"
    runs = {"teacher": Path(cfg.MODEL.TEACHER), "student": run_folder(cfg)}
    networks = {name: predictor(run, device(cfg), name=name) for name, run in runs.items()}
    predictors = baseline_predictors(cfg) | networks
    results = compare(cfg, predictors, SPLIT)
    texts = []
    for name, run in runs.items():
        extra = results_extra(cfg, weights=str(run), split=SPLIT)
        write_results(run / "eval" / evaluation_name(cfg, SPLIT), results[name], extra=extra)
        texts.append(_tables(name, results[name]))
    made = _report(cfg, results, predictors, runs, fast)
    write_text(report, render_report(made))
    write_image(report.with_name("overview.jpg"), _overview(made.gallery))
    write_json(stamp, made_from)
    return "\n\n".join([*texts, f"report: {report}"])


def _tables(name: str, results: Results) -> str:
    """The plain and the aligned table of a run."""
    aligned = results.alignment
    return f"{name}\n{results.table()}\n\n{name}, {MODE_TITLES[aligned]}\n{results.table(aligned)}"


def _report(
    cfg: CfgNode, results: dict[str, Results], predictors: dict[str, NamedPredictor], runs: dict[str, Path], fast: bool
) -> Report:
    """The report of an evaluation with what only a demo has: gap closed, translations, training curves."""
    command = f"python tools/demo.py --output {cfg.OUTPUT_DIR} --seed {cfg.SEED}" + (" --fast" if fast else "")
    frames = 1 if fast else 3
    report = evaluation_report(
        cfg,
        {name: [result] for name, result in results.items()},
        predictors,
        split=SPLIT,
        gallery=frames,
        weights={name: [str(run)] for name, run in runs.items()},
        command=command,
    )
    gaps = gap_rows(results["teacher"], results["student"])
    networks = {name: predictors[name] for name in runs}
    translated = TranslatedFrames(cfg.DATA.TRANSLATED.ROOT, cfg.DATA.TRANSLATED.CONDITIONS)
    scale = {"near": report.gallery.near, "far": report.gallery.far}
    translations = translation_pictures(cfg, networks, results, translated, count=frames)
    rows = [*report.gallery.rows, *(gallery_row(frame, **scale) for frame in translations)]
    return replace(
        report,
        title="ude demo: depth at night and in rain without one night or rain image",
        text=_text(cfg, fast),
        highlights=_highlights(results, gaps),
        gaps=gaps,
        gallery=replace(report.gallery, rows=rows, text=f"{report.gallery.text} {_TRANSLATED}"),
        charts=[_chart(name, run) for name, run in runs.items()],
    )


def _text(cfg: CfgNode, fast: bool) -> list[str]:
    """What the demo does."""
    text = [
        "A teacher learned depth from day video alone. Its day frames were translated into night, rain and rainy night "
        "by the simulated translator (weights-free; the method's own translator is a diffusion model), and a student "
        "learned the teacher's depth on them with the reliability-guided distillation loss. No network has seen a "
        "rendered night or rain street; LiDAR was used for measuring, and to fit the trivial baselines. All numbers "
        "are from test streets.",
        f"Poses of the photometric loss: {cfg.MODEL.POSE} (ego = the data set's ego poses, metric from the start).",
    ]
    if fast:
        text.insert(0, "Smallest form (--fast): a few training steps that show the machinery; the numbers mean little.")
    return text


def _highlights(results: dict[str, Results], gaps: Sequence[GapRow]) -> list[Highlight]:
    """Night accuracy of teacher and student, and the share of the gap between day and night that is closed."""
    night = {name: results[name].means["night-clear"] for name in ("teacher", "student")}
    d1 = {name: means["delta_1"] for name, means in night.items()}
    cards = []
    if None not in d1.values():
        values = f"{100 * d1['teacher']:.1f} → {100 * d1['student']:.1f} %"
        cards.append(Highlight(values, "d1 at night", "teacher → student, metric"))
        rmse = f"{night['teacher']['rmse']:.1f} → {night['student']['rmse']:.1f} m"
        cards.append(Highlight(rmse, "RMSE at night", "teacher → student, metric"))
    for gap in gaps:
        if gap.condition == "night-clear" and gap.column.metric == "delta_1" and gap.closed is not None:
            cards.append(Highlight(f"{100 * gap.closed:.0f} %", "gap closed", "day to night, in d1"))
    return cards


def _overview(gallery: Gallery) -> np.ndarray:
    """A middling frame per condition, below each other: input, depth of the teacher, depth of the student."""
    lines = []
    for condition in REPORTED:
        rows = [row for row in gallery.rows if row.condition == condition]
        columns = rows[len(rows) // 2].columns
        lines.append(np.concatenate([columns[name][0].image for name in ("input", "teacher", "student")], axis=1))
    return np.concatenate(lines)


def _chart(name: str, run: Path) -> Chart:
    """Loss terms of a run over its steps."""
    rows = list({row["step"]: row for row in read_jsonl(run / "metrics.jsonl")}.values())  # a resumed run repeats some
    terms = sorted({key for row in rows for key in row if key.startswith("loss/")})
    curves = [
        Curve(term.removeprefix("loss/"), [(row["step"], row[term]) for row in rows if term in row]) for term in terms
    ]
    return Chart(f"{name}: loss terms", curves)
