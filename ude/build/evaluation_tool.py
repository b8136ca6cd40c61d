"""What the evaluation tools share: their options, and the run from the command line to the printed tables."""

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from ude.config import ConfigError, load_config
from ude.config.command_line import parser
from ude.files.paths import looks_like_hub_id

from .evaluation_request import Request
from .identity import naming
from .predictor_kinds import kind_of
from .weights import Weights, named_weights

_TOOLS = {"nuscenes": "evaluate_nuscenes.py", "robotcar": "evaluate_robotcar.py"}
_ANY = "evaluate.py"


def evaluation_parser(description: str, example: str) -> ArgumentParser:
    """The parser of an evaluation tool.

    Args:
        description: what the tool does.
        example: complete commands, shown below the options as they are.
    """
    options = parser(description, example)
    options.add_argument(
        "--weights",
        nargs="+",
        action="extend",
        required=True,
        metavar="[NAME=]WHAT",
        help="run folder, hub id, checkpoint of md4all or monodepth2, or folder of saved predictions; several give one "
        "table, several of one NAME are seeds of one predictor",
    )
    options.add_argument(
        "--kind",
        choices=("inverse_depth", "depth", "relative_inverse_depth"),
        default="",
        help="what saved predictions are that have no predictions.json",
    )
    options.add_argument("--split", help="official name or split file (default: DATA.SPLIT_VAL)")
    options.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where the results go; with several predictors, the comparison"
    )
    options.add_argument("--published", action="store_true", help="put the published numbers of the data set beside")
    options.add_argument("--no-report", dest="report", action="store_false", help="write no report.html")
    options.add_argument(
        "--gallery", type=int, default=3, metavar="N", help="frames per condition in the report (default: 3; 0: none)"
    )
    options.add_argument(
        "--save-predictions",
        type=Path,
        metavar="FOLDER",
        help="keep the predictions; with several predictors, in FOLDER/NAME. Those that are there are not made again",
    )
    return options


def run_evaluation(args: Namespace, *, source: str | None = None) -> int:
    """Evaluates what the options name, writes the results, and prints tables and where they are.

    Args:
        args: what evaluation_parser() has read.
        source: the only DATA.SOURCE of this tool; None takes any.

    Raises:
        ConfigError: the config is for another tool, or an option has no meaning.
    """
    cfg = load_config(args.cfg, args.overrides)
    if source and source != cfg.DATA.SOURCE:
        tool = _TOOLS.get(cfg.DATA.SOURCE, _ANY)
        raise ConfigError(
            f"{args.cfg}: DATA.SOURCE is {cfg.DATA.SOURCE}, and this tool evaluates on {source}; run: "
            f"python tools/{tool} --cfg {args.cfg} ..."
        )
    if args.gallery < 0:
        raise ConfigError(f"--gallery {args.gallery}: must be 0 or more")
    weights, split = named_weights(args.weights), args.split or cfg.DATA.SPLIT_VAL
    _require_predictors(weights, args.kind)
    from .sources import require_evaluation_split  # what is slow to import comes after the mistakes found without it

    require_evaluation_split(cfg, split)
    from .evaluation_run import evaluate_weights
    from .predictors import device
    from .processes import first_process, process_group

    request = Request(
        weights=weights,
        split=split,
        kind=args.kind,
        output=args.output,
        saved=args.save_predictions,
        published=args.published,
        report=args.report,
        gallery=args.gallery,
        command=_command(args, _TOOLS.get(source, _ANY)),
    )
    with process_group(device(cfg)):
        text = evaluate_weights(cfg, request)
        if first_process():
            print(text)
    return 0


def _require_predictors(weights: Sequence[Weights], kind: str) -> None:
    """Refuses names of nothing and a --kind of nothing, without loading anything; hub ids are asked for later."""
    with naming("--weights"):
        kinds = {kind_of(one.what) for one in weights if Path(one.what).exists() or not looks_like_hub_id(one.what)}
    if kind and "saved" not in kinds:
        raise ConfigError(f"--kind {kind}: says what saved predictions are, but --weights names no folder of them")


def _command(args: Namespace, tool: str) -> str:
    """The command line that says the same as the options."""
    words = ["python", f"tools/{tool}", "--cfg", args.cfg, "--weights", *args.weights]
    for option in ("split", "kind", "output", "save_predictions"):
        if value := getattr(args, option):
            words += [f"--{option.replace('_', '-')}", str(value)]
    words += ["--published"] if args.published else []
    return shlex.join([*words, *args.overrides])
