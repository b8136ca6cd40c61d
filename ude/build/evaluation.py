"""Evaluation by the config's protocol."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ude.config import dump_config
from ude.config.defaults import defaults
from ude.evaluation.evaluate import check_rules, evaluate, scene_names
from ude.evaluation.predictor import FramePredictor
from ude.evaluation.results import Results
from ude.files.provenance import provenance

from .frames import evaluation_loader
from .identity import naming
from .predictors import NamedPredictor, device
from .processes import count_unreadable, first_process, share
from .sources import evaluation_source


def evaluate_split(cfg: CfgNode, predictor: NamedPredictor, split: str, *, progress: bool = True) -> Results:
    """Metrics of a predictor on a split (official name or file) by the config's protocol."""
    return next(evaluate_each(cfg, [predictor], split, progress=progress))


def evaluate_each(
    cfg: CfgNode, predictors: Sequence[NamedPredictor], split: str, *, progress: bool = True
) -> Iterator[Results]:
    """The same for several predictors, one after the other.

    With an initialised process group every process measures its share of the frames, and all get the results.

    Raises:
        DataError: one of the predictors cannot be measured on these frames; before the first is.
    """
    source = evaluation_source(cfg, split)
    loader, scenes = evaluation_loader(cfg, source, share=share()), scene_names(source)
    for predictor in predictors:
        with naming(predictor.name):
            check_rules(cfg.EVAL.PROTOCOL, cfg.EVAL.ALIGNMENT, metric=predictor.metric)
            if isinstance(predictor.predict, FramePredictor):
                predictor.predict.require(list(scenes))
    for predictor in predictors:
        results = evaluate(
            predictor.predict,
            loader,
            **measured_by(cfg),
            metric=predictor.metric,
            flip=cfg.EVAL.FLIP,
            device=device(cfg),
            scenes=scenes,
            progress=progress and first_process(),
        )
        count_unreadable(loader.dataset.unreadable)
        yield results


def evaluation_name(cfg: CfgNode, split: str) -> str:
    """Name of a folder of results: that of the split, and those of protocol and alignment unless they are default."""
    usual = defaults().EVAL
    others = [cfg.EVAL[key] for key in ("PROTOCOL", "ALIGNMENT") if cfg.EVAL[key] != usual[key]]
    return "-".join([Path(split).stem, *others])


def measured_by(cfg: CfgNode) -> dict[str, str | float]:
    """What decides how a prediction is measured, as ``evaluate`` takes it and Results.rules has it."""
    names = ("PROTOCOL", "ALIGNMENT", "MIN_DEPTH", "MAX_DEPTH")
    return {name.lower(): cfg.EVAL[name] for name in names}


def evenly_spread(members: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of the members, evenly spread, none of them twice."""
    count = min(count, len(members))
    return [members[(2 * place + 1) * len(members) // (2 * count)] for place in range(count)]


def results_extra(cfg: CfgNode, *, weights: object, split: str) -> dict[str, Any]:
    """What made a result, for its JSON file: weights, data, seed, protocol, versions and the resolved config."""
    return {
        "weights": weights,
        "source": cfg.DATA.SOURCE,
        "split": split,
        "seed": cfg.SEED,
        "protocol": cfg.EVAL.PROTOCOL,
        "alignment": cfg.EVAL.ALIGNMENT,
        "versions": provenance(),
        "config": dump_config(cfg),
    }
