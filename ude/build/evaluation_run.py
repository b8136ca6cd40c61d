"""An evaluation from --weights to files: every predictor's results, the comparison of several, and the report."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from yacs.config import CfgNode

from ude.evaluation.published import published_rows
from ude.evaluation.report import render_report
from ude.evaluation.result_files import write_results
from ude.evaluation.results import Results
from ude.evaluation.saving import Saving
from ude.files import lock_folder, write_text

from .caches import lossy_store
from .comparison import write_comparison
from .evaluation import evaluate_each, evaluation_name, results_extra
from .identity import naming
from .predictor_kinds import weights_hash
from .predictors import NamedPredictor, device, predictor
from .processes import first_goes_ahead, first_process
from .report import evaluation_report
from .weights import Weights

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is evaluated, and what is made of it.

    Attributes:
        weights: the predictors.
        split: official name or file.
        kind: what saved predictions are that do not say it.
        output: where the comparison goes, or the results of a single predictor; None for the usual place.
        saved: where predictions are kept; None keeps none.
        published: compare with published numbers, too.
        report: write report.html.
        gallery: frames per condition in the report.
        command: the command line, for the report.
    """

    weights: Sequence[Weights]
    split: str
    kind: str = ""
    output: Path | None = None
    saved: Path | None = None
    published: bool = False
    report: bool = True
    gallery: int = 3
    command: str = ""

    @property
    def compared(self) -> bool:
        """Whether there is more than one row to compare."""
        return len(self.weights) > 1 or self.published


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
        DataError: a predictor or the data cannot be used, or the results cannot be written.
    """
    name = f"{cfg.DATA.SOURCE}-{evaluation_name(cfg, request.split)}"
    common = request.output or Path(cfg.OUTPUT_DIR) / "eval" / name
    chosen = [_chosen(cfg, request, weights, common) for weights in request.weights]
    with _locked([one.folder for one in chosen] + [common] * request.compared):  # measuring may take hours
        results, texts = [], []
        measured = evaluate_each(cfg, [one.predictor for one in chosen], request.split)
        for one in chosen:
            _LOG.info("evaluating %s (%s) on %s", one.weights.label, one.weights.what, request.split)
            results.append(next(measured))
            if first_process():
                extra = results_extra(cfg, weights=one.weights.what, split=request.split)
                texts.append(write_results(one.folder, results[-1], extra=extra))
        if not first_process():
            return ""
        tables, *places = _together(cfg, request, chosen, results, common=common, text=texts[0])
        lines = [_line(cfg, one, found) for one, found in zip(chosen, results, strict=True)]
    return "\n".join([tables, *lines, *places])


def _together(
    cfg: CfgNode, request: Request, chosen: Sequence[Chosen], results: Sequence[Results], *, common: Path, text: str
) -> list[str]:
    """Writes the comparison, if there is one, and the report; returns the tables to print, and where both are."""
    by_name, what = _by_name(chosen, results), _by_name(chosen, [one.weights.what for one in chosen])
    published, reason = published_rows(cfg.DATA.SOURCE, results[0]) if request.published else ((), "")
    lines, folder = [reason] if reason else [], chosen[0].folder
    if request.compared:
        folder, extra = common, results_extra(cfg, weights=what, split=request.split)
        text = write_comparison(folder, by_name, published=published, extra=extra)
        lines.append(f"comparison: {folder}")
    if request.report:
        report = evaluation_report(
            cfg,
            by_name,
            {name: seeds[0] for name, seeds in _by_name(chosen, [one.predictor for one in chosen]).items()},
            split=request.split,
            published=published,
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
        folder = loaded.run / "eval" / evaluation_name(cfg, request.split)
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
