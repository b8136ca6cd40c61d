"""Evaluate a run on nuScenes: `python tools/evaluate_nuscenes.py --cfg configs/nuscenes.yaml --weights outputs/RUN`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from ude.config import load_config
from ude.config.command_line import parser, run_tool

EXAMPLE = """examples:
  python tools/evaluate_nuscenes.py --cfg configs/nuscenes.yaml --weights outputs/student_nuscenes
  python tools/evaluate_nuscenes.py --cfg configs/demo.yaml --weights outputs/demo/student --split test
Writes metrics.json, per_frame.csv and table.md into RUN/eval/<split> and prints the tables. With another EVAL.PROTOCOL
than md4all the folder is RUN/eval/<split>-<protocol>."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = parser("Evaluate a depth network against LiDAR, per condition, by EVAL.PROTOCOL.", EXAMPLE)
    options.add_argument("--weights", required=True, metavar="RUN", help="run folder of tools/train.py, or hub id")
    options.add_argument("--split", help="val, test, train or a split file (default: DATA.SPLIT_VAL)")
    options.add_argument("--output", type=Path, help="where the results go (default: eval/<split> in the run)")
    return options


def run(args: Namespace) -> int:
    """Evaluate, write and print."""
    cfg = load_config(args.cfg, args.overrides)
    from ude.build.evaluation import device, evaluate_split, evaluation_name, predictor, results_extra
    from ude.build.identity import naming
    from ude.evaluation.results import write_results

    split = args.split or cfg.DATA.SPLIT_VAL
    with naming("--weights"):
        predict = predictor(args.weights, device(cfg))
    results = evaluate_split(cfg, predict, split)
    run = Path(args.weights)
    if not run.is_dir():  # a hub id
        run = Path(cfg.OUTPUT_DIR) / args.weights.replace("/", "--")
    folder = args.output or run / "eval" / evaluation_name(cfg, split)
    print(write_results(folder, results, extra=results_extra(cfg, weights=args.weights, split=split)))
    print(f"results: {folder}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
