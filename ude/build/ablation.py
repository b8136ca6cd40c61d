"""An ablation: teachers of several seeds, their translations, and the students that a YAML file lists."""

from pathlib import Path

from yacs.config import CfgNode

from ude.data.translated import QUARANTINE
from ude.evaluation.results import Results
from ude.files import read_json

from .ablation_plan import TEACHER, TRANSLATED, Ablation, folder_of


def run_ablation(ablation: Ablation) -> str:
    """Train, translate and evaluate what is not finished yet; the tables are written again after every run.

    Returns:
        The tables as Markdown.
    """
    from .ablation_table import write_tables
    from .training import train

    measured: dict[str, dict[int, Results]] = {}
    tables = ""
    for seed in ablation.seeds:
        for part in (part for part in ablation.parts if seed in part.seeds):
            cfg = ablation.config(part, seed)
            train(cfg, resume=True)
            measured.setdefault(part.name, {})[seed] = _evaluated(cfg, part.name, ablation.split)
            tables = write_tables(ablation.output, measured, teacher=TEACHER, reference=ablation.reference)
            if part is ablation.teacher and seed == ablation.seeds[0]:
                _translate(ablation)
    return tables


def _translate(ablation: Ablation) -> None:
    """Translate with every seed of the translations.

    Students read ``<condition>`` and, of each seed ``k`` after the first, ``<condition>-k`` of the same folder.
    """
    from .translation import translate

    first, *others = ablation.translation.seeds
    translate(ablation.config(ablation.translation, first))
    root = ablation.output / TRANSLATED
    for seed in others:
        cfg = ablation.config(ablation.translation, seed)
        translate(cfg)
        for condition in cfg.TRANSLATOR.CONDITIONS:
            _link(root / f"{condition}-{seed}", Path(folder_of(seed), condition))
            _link(root / QUARANTINE / f"{condition}-{seed}", Path("..", folder_of(seed), QUARANTINE, condition))


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(target, target_is_directory=True)


def _evaluated(cfg: CfgNode, name: str, split: str) -> Results:
    """Results of a finished run, measured unless that was done before."""
    from ude.evaluation.result_files import read_results, write_results

    from .evaluation import evaluate_split, evaluation_name, measured_by, results_extra
    from .predictors import device, predictor
    from .training import run_folder

    run = run_folder(cfg)
    folder, made_from = run / "eval" / evaluation_name(cfg, split), read_json(run / "version.json")["config_hash"]
    if (folder / "metrics.json").is_file() and read_json(folder / "metrics.json")["run"].get("made_from") == made_from:
        results = read_results(folder)
        if results.rules == measured_by(cfg):
            return results
    results = evaluate_split(cfg, predictor(str(run), device(cfg), name=name), split)
    extra = results_extra(cfg, weights=str(run), split=split)
    write_results(folder, results, extra=extra | {"made_from": made_from})
    return results
