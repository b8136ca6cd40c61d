"""The report of an evaluation, collected from its results and its predictors."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from yacs.config import CfgNode

from ude.evaluation.gallery import gallery as gallery_of
from ude.evaluation.published import PublishedRow
from ude.evaluation.range_charts import pictured_mode, range_charts
from ude.evaluation.report import Report
from ude.evaluation.report_tables import Evaluated
from ude.evaluation.results import Results
from ude.evaluation.seeds import mean_of_seeds
from ude.evaluation.significance import PairedRow, paired_rows
from ude.evaluation.summary import comparison_table
from ude.files.provenance import provenance

from .pictures import Predictors, split_pictures
from .predictor_kinds import weights_hash
from .predictors import NamedPredictor


def evaluation_report(
    cfg: CfgNode,
    results: Mapping[str, Sequence[Results]],
    predictors: Predictors,
    *,
    split: str,
    reference: str | None = None,
    published: Sequence[PublishedRow] = (),
    gallery: int = 3,
    weights: Mapping[str, Sequence[str]] | None = None,
    command: str = "",
) -> Report:
    """The report of predictors on a split; the chosen frames are predicted again.

    Baselines are neither pictured nor tested: they do not see the images.

    Args:
        cfg: the config.
        results: results of every seed of each predictor, by name, on the same frames.
        predictors: the first seed of each predictor, by names of the results.
        split: official name or file.
        reference: name of the predictor that the others are tested against; by default the first that is no baseline.
        published: rows that can be compared with the results.
        gallery: frames per condition in pictures; 3 are the best, the median and the worst, 0 none.
        weights: what every seed was loaded from, by name.
        command: command line that makes the results again.

    Raises:
        ValueError: the predictors were evaluated on different frames or by different rules.
    """
    table = comparison_table(results, published=published, seed=cfg.SEED)
    means = {name: mean_of_seeds(seeds) for name, seeds in results.items()}
    seeing = {name: predictor for name, predictor in predictors.items() if predictor.kind != "baseline"}
    shown = {name: results[name][0] for name in seeing}
    pictures = []
    if gallery and seeing:
        pictures = split_pictures(cfg, seeing, shown, split, conditions=table.conditions, count=gallery)
    paired: Sequence[PairedRow] = ()
    if len(seeing) > 1:
        tested = {name: results[name] for name in seeing}
        paired = paired_rows(tested, reference or next(iter(tested)), conditions=table.conditions, seed=cfg.SEED)
    versions = {name: str(version) for name, version in provenance().items()}
    return Report(
        title=f"Depth on {cfg.DATA.SOURCE}, {Path(split).stem}",
        facts=_facts(cfg, means, split) | {"commit": versions.pop("commit")},
        table=table,
        paired=paired,
        ranges=range_charts(means, table.conditions),
        gallery=gallery_of(pictures, text=_gallery_text({name: results[name] for name in seeing}))
        if pictures
        else None,
        evaluated=[
            _evaluated(predictors[name], seeds[0], (weights or {}).get(name, ())) for name, seeds in results.items()
        ],
        versions=versions,
        commands=[command] if command else [],
    )


def _facts(cfg: CfgNode, results: Mapping[str, Results], split: str) -> dict[str, str]:
    """What was evaluated, and by which rules."""
    first = next(iter(results.values()))
    scenes = {frame.scene for frame in first.frames} - {""}
    skipped = f", {len(first.skipped):,} without LiDAR" if first.skipped else ""
    version = f" {cfg.DATA.VERSION}" if cfg.DATA.SOURCE == "nuscenes" else ""
    return {
        "data": f"{cfg.DATA.SOURCE}{version}",
        "split": split,
        "frames": f"{first.count:,}{skipped}",
        "scenes": f"{len(scenes):,}" if scenes else "n/a",
        "input size": "{} x {}".format(*cfg.DATA.SIZE),
        "protocol": first.protocol,
        "alignment": str(first.rules["alignment"]),
        "LiDAR depth": f"{first.min_depth:g} m to {first.max_depth:g} m",
        "seed": str(cfg.SEED),
        "written": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _gallery_text(results: Mapping[str, Sequence[Results]]) -> str:
    """How the frames were chosen, and what the pictures show: of several seeds the first."""
    aligned, several = pictured_mode([seeds[0] for seeds in results.values()]), len(results) > 1
    error = "aligned absRel" if aligned else "absRel"
    of = f"the mean {error} of the pictured predictors" if several else f"{error} of {next(iter(results))}"
    depth = "Depths are aligned to the LiDAR of their frame, " if aligned else "Depths are as predicted, "
    counts = [f"seed 1 of {len(seeds)} ({name})" for name, seeds in results.items() if len(seeds) > 1]
    pictured = f" Pictures: {', '.join(counts)}." if counts else ""
    whose = "all predictors and frames" if several else "all frames"
    return f"Frames are ordered by {of}. {depth}on one colour scale for {whose}.{pictured}"


def _evaluated(predictor: NamedPredictor, results: Results, weights: Sequence[str]) -> Evaluated:
    """A predictor with the weights of all its seeds and the speed of the first."""
    hashes = {what: weights_hash(what) for what in weights}
    return Evaluated(
        name=predictor.name,
        kind=predictor.kind if predictor.metric else f"{predictor.kind}, relative",
        weights=", ".join(weights),
        sha256=", ".join(hashed[:16] for what, hashed in hashes.items() if hashed != what),  # a hub id has none
        frames_per_second=results.frames_per_second,
        from_files=predictor.kind == "saved",
    )
