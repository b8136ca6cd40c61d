"""How a network holds under the 15 common corruptions: its scores, alone and against a baseline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ude.config import dump_config
from ude.evaluation.corruptions import VERSION
from ude.evaluation.corruptions.report import SCHEMA_VERSION, scores_json, scores_text
from ude.evaluation.corruptions.scores import CLEAN, Scores, depth_estimation_error, scores
from ude.evaluation.tables import rules_line
from ude.files import DataError, read_json, write_json, write_text
from ude.files.provenance import provenance

from .corruption_passes import Benchmark, Values, digest, prepare_passes, run_passes
from .evaluation import evaluation_name, measured_by
from .identity import naming
from .predictor_kinds import kind_of, weights_hash
from .sources import evaluation_source


def evaluate_corruptions(
    cfg: CfgNode, benchmark: Benchmark, *, weights: str, baseline: str | None = None, output: Path | None = None
) -> str:
    """Measures what is not measured yet, writes corruptions.json and table.md, and returns the table.

    Args:
        cfg: the config.
        benchmark: what is measured.
        weights: run folder, hub id, or checkpoint.
        baseline: another one, or the corruptions.json of an earlier call, for corruption errors.
        output: where the files go; by default into the run, and what is measured of the baseline into its own.

    Raises:
        DataError: no frame is left, or the baseline was measured otherwise.
    """
    source = evaluation_source(cfg, benchmark.split)
    indices = benchmark.chosen(source)
    frame_ids = [source.frame_id(index) for index in indices]
    measured_on = {"frames_hash": digest(frame_ids), "seed": cfg.SEED, "corruptions_version": VERSION}
    measured_on |= measured_by(cfg) | {"size": list(cfg.DATA.SIZE), "crop": list(cfg.DATA.CROP)}
    networks = {"--weights": weights}
    others: Values | None = None
    if baseline is not None and baseline.endswith(".json"):
        others = _published(Path(baseline), benchmark, measured_on)
    elif baseline is not None:
        networks["--baseline"] = baseline
    folders = {option: output or _folder(cfg, name, benchmark, option) for option, name in networks.items()}
    prepared = {
        option: prepare_passes(cfg, benchmark, frame_ids, weights=name, folder=folders[option], option=option)
        for option, name in networks.items()
    }  # all of them before the first is measured, which may take hours
    measured = {option: run_passes(cfg, source, indices, passes) for option, passes in prepared.items()}
    own = {which: measured["--weights"].values[which] for which in benchmark.passes}
    found = _scores(own, measured["--baseline"].values if "--baseline" in measured else others)
    text = scores_text(found, frames=int(own[CLEAN]["frames"]), baseline=baseline)
    text = f"{rules_line(measured_by(cfg))}\n\n{text}"
    document = {
        "schema_version": SCHEMA_VERSION,
        "weights": weights,
        "weights_hash": weights_hash(weights),
        "baseline": baseline,
        "split": benchmark.split,
        "conditions": list(benchmark.conditions),
        "frames": own[CLEAN]["frames"],
        **measured_on,
        "scores": {mode or "plain": scores_json(score) for mode, score in found.items()},
        "rows": [{"corruption": name, "severity": severity, "values": row} for (name, severity), row in own.items()],
        "run": {"versions": provenance(), "config": dump_config(cfg)},
    }
    write_text(folders["--weights"] / "table.md", text)
    write_json(folders["--weights"] / "corruptions.json", document)
    speeds = [f"{networks[option]}: {speed:.1f} frames per second" for option, (_, speed) in measured.items() if speed]
    return "\n".join([text, *speeds, f"results: {folders['--weights']}"])


def _scores(own: Values, baseline: Values | None) -> dict[str, Scores]:
    """Scores by suffix of the modes that both have; relative depth has aligned ones only."""
    known = own[CLEAN].keys() & (baseline or own)[CLEAN].keys()
    modes = [name.removeprefix("abs_rel") for name in own[CLEAN] if name.startswith("abs_rel") and name in known]

    def errors(values: Values, mode: str) -> dict[tuple[str, int], float]:
        rows = values.items()
        return {which: depth_estimation_error(row[f"abs_rel{mode}"], row[f"delta_1{mode}"]) for which, row in rows}

    return {mode: scores(errors(own, mode), errors(baseline, mode) if baseline else None) for mode in modes}


def _published(path: Path, benchmark: Benchmark, measured_on: Mapping[str, Any]) -> Values:
    """The metrics in the corruptions.json of an earlier call, if it was measured alike."""
    with naming("--baseline"):
        document = read_json(path)
        try:
            given = {name: document[name] for name in measured_on}
            rows = {(row["corruption"], row["severity"]): row["values"] for row in document["rows"]}
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{path} is no corruptions.json (no {error}); make one: python tools/evaluate_corruptions.py --cfg ..."
            ) from error
        if different := [name for name, value in measured_on.items() if given[name] != value]:
            raise DataError(
                f"{path} was measured with another {different[0]} ({given[different[0]]}, here "
                f"{measured_on[different[0]]}); name the run, to measure it alike"
            )
        if missing := [which for which in benchmark.passes if which not in rows]:
            raise DataError(f"{path} lacks {missing[0][0]} at severity {missing[0][1]}; name the run, to measure it")
    return rows


def _folder(cfg: CfgNode, weights: str, benchmark: Benchmark, option: str) -> Path:
    """Where the results of a network go: into its run, or below OUTPUT_DIR if it is none of ours."""
    run = Path(weights)
    with naming(option):
        ours = run.is_dir() and (kind_of(weights) == "depth_net" or (run / "version.json").is_file())
    folder = run if ours else Path(cfg.OUTPUT_DIR) / weights.strip("/").replace("/", "--")
    name = f"corruptions_{evaluation_name(cfg, benchmark.split)}"
    return folder / "eval" / (name if benchmark.frames is None else f"{name}-{benchmark.frames}")
