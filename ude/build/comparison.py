"""Several predictors side by side: their results on a split, and the files that compare them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ude.evaluation.baselines import fit_baselines
from ude.evaluation.comparison_text import comparison_json, comparison_markdown
from ude.evaluation.latex import comparison_latex
from ude.evaluation.published import PublishedRow
from ude.evaluation.result_files import remove_results
from ude.evaluation.results import Results
from ude.evaluation.significance import PairedRow, paired_rows
from ude.evaluation.summary import comparison_table
from ude.files import write_json, write_text

from .evaluation import evaluate_each
from .frames import evaluation_loader
from .predictors import NamedPredictor
from .sources import day_source


def baseline_predictors(cfg: CfgNode) -> dict[str, NamedPredictor]:
    """The trivial predictors, fitted on the LiDAR of the day-clear training frames, whatever the config's stage."""
    loader = evaluation_loader(cfg, day_source(cfg))
    fitted = fit_baselines(loader, min_depth=cfg.EVAL.MIN_DEPTH, max_depth=cfg.EVAL.MAX_DEPTH)
    return {name: NamedPredictor(name=name, what=name, kind="baseline", predict=fit) for name, fit in fitted.items()}


def compare(cfg: CfgNode, predictors: Mapping[str, NamedPredictor], split: str) -> dict[str, Results]:
    """Results of every predictor on the same frames."""
    return dict(zip(predictors, evaluate_each(cfg, list(predictors.values()), split), strict=True))


def write_comparison(
    folder: Path,
    results: Mapping[str, Sequence[Results]],
    *,
    published: Sequence[PublishedRow] = (),
    extra: Mapping[str, Any],
) -> str:
    """Writes comparison.json, table.md and table.tex, and returns the tables for printing.

    What an earlier evaluation left in the folder is removed.

    Args:
        folder: where the files go.
        results: of every predictor by its name, one for each seed; the others are tested against the first.
        published: rows of papers to compare with.
        extra: what made the results, stored under "run"; its "seed" is that of the intervals, too.
    """
    seed = extra["seed"]
    table = comparison_table(results, published=published, seed=seed)
    paired: Sequence[PairedRow] = ()
    if len(results) > 1:
        paired = paired_rows(results, next(iter(results)), conditions=table.conditions, seed=seed)
    text = comparison_markdown(table, paired)
    write_text(folder / "table.md", text)
    remove_results(folder)
    write_text(folder / "table.tex", comparison_latex(table))
    write_json(folder / "comparison.json", {**comparison_json(table, paired), "run": dict(extra)})
    return text
