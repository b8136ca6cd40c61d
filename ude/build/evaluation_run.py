"""An evaluation from --weights to files: every predictor's results, the comparison of several, and the report."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from yacs.config import CfgNode

from ude.config import ConfigError
from ude.evaluation.published import PublishedRow, published_rows
from ude.evaluation.report import render_report
from ude.evaluation.result_files import write_results
from ude.evaluation.results import Results
from ude.evaluation.saving import Saving
from ude.files import lock_folder, write_text

from .caches import lossy_store
from .comparison import write_comparison
from .evaluation import evaluate_each, evaluation_name, results_extra
from .evaluation_request import Request
from .identity import naming
from .predictor_kinds import weights_hash
from .predictors import NamedPredictor, device, predictor
from .processes import first_goes_ahead, first_process
from .replaced import replaced
from .report import evaluation_report
from .weights import Weights

T = TypeVar("T")
Published = tuple[Sequence[PublishedRow], str]
"""Rows of papers, and the reason where there are none."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chosen:
    """A predictor of a request, ready to run, and where its results go."""

    weights: Weights
    predictor: NamedPredictor
    folder: Path


def evaluate_weights(cfg: CfgNode, request: Request) -> str:
    """Measures every predictor on the split, writes the results, and returns what to print.

    With an initialised process group the processes share the frames; the first one writes, the others return "".

    Raises:
        ConfigError: the comparison would go where the results of a predictor do.
        DataError: a predictor or the data cannot be used, or the results cannot be written.
    """
    name = f"{cfg.DATA.SOURCE}-{evaluation_name(cfg, request.split)}"
    common = request.output or Path(cfg.OUTPUT_DIR) / "eval" / name
    chosen = [_chosen(cfg, request, weights, common) for weights in request.weights]
    if request.compared and (own := [one for one in chosen if one.folder.resolve() == common.resolve()]):
        raise ConfigError(f"--output {common}: the results of {own[0].weights.label} go there; choose another folder")
    with _locked([one.folder for one in chosen] + [common] * request.compared):  # measuring may take hours
        results, texts, lines = [], [], []
        published: Published = ((), "")
        measured = evaluate_each(cfg, [one.predictor for one in chosen], request.split)
        for one in chosen:
            _LOG.info("evaluating %s (%s) on %s", one.weights.label, one.weights.what, request.split)
            results.append(next(measured))
            if not first_process():
                continue
            if request.published and not texts:
                published = published_rows(cfg.DATA.SOURCE, results[0])
                if len(chosen) == 1 and not published[0]:  # nothing to compare it with
                    one = replace(one, folder=request.output or one.folder)
                    chosen = [one]
            extra = results_extra(cfg, weights=one.weights.what, split=request.split)
            lines += [note] if (note := replaced(one.folder, results[-1].rules, extra)) else []
            texts.append(write_results(one.folder, results[-1], extra=extra))
            lines.append(_line(cfg, one, results[-1]))
        if not first_process():
            return ""
        tables, *places = _together(cfg, request, chosen, results, common=common, text=texts[0], published=published)
    return "\n".join([tables, *lines, *places])


def _together(
    cfg: CfgNode,
    request: Request,
    chosen: Sequence[Chosen],
    results: Sequence[Results],
    *,
    common: Path,
    text: str,
    published: Published,
) -> list[str]:
    """Writes the comparison, if there is one, and the report; returns the tables to print, and where both are."""
    by_name, what = _by_name(chosen, results), _by_name(chosen, [one.weights.what for one in chosen])
    rows, reason = published
    lines, folder = [reason] if reason else [], chosen[0].folder
    if len(chosen) > 1 or rows:
        folder, extra = common, results_extra(cfg, weights=what, split=request.split)
        lines += [note] if (note := replaced(folder, results[0].rules, extra)) else []
        text = write_comparison(folder, by_name, published=rows, extra=extra)
        lines.append(f"comparison: {folder}")
    if request.report:
        report = evaluation_report(
            cfg,
            by_name,
            {name: seeds[0] for name, seeds in _by_name(chosen, [one.predictor for one in chosen]).items()},
            split=request.split,
            published=rows,
            gallery=request.gallery,
            weights=what,
            command=request.command,
        )
        write_text(folder / "report.html", render_report(report))
        lines.append(f"report: {folder / 'report.html'}")
    return [text, *lines]


def _chosen(cfg: CfgNode, request: Request, weights: Weights, common: Path) -> Chosen:
    """The predictor that some words name, loaded, and the folder of its results."""
    with naming("--weights"):
        loaded = predictor(weights.what, device(cfg), name=weights.name, kind=request.kind)
    folder = common / weights.label
    if loaded.run:
        elsewhere = loaded.source not in (None, cfg.DATA.SOURCE)  # there may be a split of that name at home, too
        name = evaluation_name(cfg, request.split)
        folder = loaded.run / "eval" / (f"{cfg.DATA.SOURCE}-{name}" if elsewhere else name)
    if request.output and not request.compared:
        folder = request.output
    return Chosen(weights, loaded if request.saved is None else _saving(cfg, request, weights, loaded), folder)


def _saving(cfg: CfgNode, request: Request, weights: Weights, loaded: NamedPredictor) -> NamedPredictor:
    """The predictor with its predictions kept."""
    made_by = {"weights": weights.what, "weights_hash": weights_hash(weights.what)}
    made_by |= {"source": cfg.DATA.SOURCE, "root": str(Path(cfg.DATA.ROOT).resolve())}  # others have the same frame_ids
    made_by |= {"size": list(cfg.DATA.SIZE), "crop": list(cfg.DATA.CROP), "cache": lossy_store(cfg)}
    folder = request.saved / weights.label if len(request.weights) > 1 else request.saved
    with naming("--save-predictions"), first_goes_ahead():
        kept = Saving(loaded.predict, folder, metric=loaded.metric, flip=cfg.EVAL.FLIP, made_by=made_by)
    return replace(loaded, predict=kept)


@contextmanager
def _locked(folders: Sequence[Path]) -> Iterator[None]:
    """Keeps the folders to the first process, which writes there."""
    with ExitStack() as locks:
        for folder in {folder.resolve(): folder for folder in folders}.values() if first_process() else ():
            locks.enter_context(lock_folder(folder))
        yield


def _line(cfg: CfgNode, one: Chosen, found: Results) -> str:
    """Speed, notes and place of a predictor's results."""
    speed = f"{found.frames_per_second:.1f} frames per second"
    if found.network_frames_per_second:
        speed += f" ({found.network_frames_per_second:.1f} in the network alone)"
    notes, size, wanted = "".join(f"; {note}" for note in one.predictor.notes), cfg.DATA.SIZE, one.predictor.data_size
    if wanted not in (None, tuple(size)):
        both = "{} x {}, but it was trained on {} x {}".format(*size, *wanted)
        notes += f"\nnote: images are read at {both}; set DATA.SIZE [{wanted[0]},{wanted[1]}] to measure it there"
    return f"{one.weights.label}: {speed}, results: {one.folder}{notes}"


def _by_name(chosen: Sequence[Chosen], values: Sequence[T]) -> dict[str, list[T]]:
    """Values of the chosen predictors by their names; several for the seeds of one."""
    names: dict[str, list[T]] = {}
    for one, value in zip(chosen, values, strict=True):
        names.setdefault(one.weights.name, []).append(value)
    return names
