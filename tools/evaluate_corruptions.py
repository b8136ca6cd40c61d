"""Robustness of a run: `python tools/evaluate_corruptions.py --cfg configs/nuscenes.yaml --weights outputs/RUN`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from ude.config import load_config
from ude.config.command_line import parser, run_tool

EXAMPLE = """examples:
  python tools/evaluate_corruptions.py --cfg configs/nuscenes.yaml --weights outputs/student --baseline outputs/teacher
  python tools/evaluate_corruptions.py --cfg configs/demo.yaml --weights outputs/demo/student --frames 20
  python tools/evaluate_corruptions.py --cfg configs/nuscenes.yaml --weights outputs/student --corruptions fog snow
      --severities 1 3 5 --baseline outputs/teacher/eval/corruptions_val/corruptions.json
Writes corruptions.json and table.md into RUN/eval/corruptions_<split> (with --frames N: corruptions_<split>-N), of
weights of others into OUTPUT_DIR, and prints the table: depth estimation error DEE = (absRel - d1 + 1) / 2,
corruption error CE against the baseline, resilience rate RR, and their means mCE and mRR. The folder ends in
-<protocol> and -<alignment> where they are not md4all and median.
A killed run goes on where it was; what was measured once for the same weights, frames and protocol stays measured.
Each of the 76 passes reads the frames anew: with many of them, keep them in a cache (tools/cache_frames.py --lidar)."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = parser("Measure how a depth network holds under the 15 common corruptions in 5 severities.", EXAMPLE)
    options.add_argument("--weights", required=True, metavar="RUN", help="run folder, hub id, or checkpoint of others")
    options.add_argument("--baseline", metavar="RUN", help="one to compare with, or a corruptions.json of this tool")
    options.add_argument("--split", help="val, test, train or a split file (default: DATA.SPLIT_VAL)")
    options.add_argument(
        "--conditions", nargs="+", default=["day-clear"], metavar="NAME", help="frames to corrupt (default: day-clear)"
    )
    options.add_argument("--corruptions", nargs="+", metavar="NAME", help="only these (default: all 15)")
    options.add_argument("--severities", nargs="+", metavar="N", help="only these of 1 to 5 (default: all)")
    options.add_argument("--frames", type=int, metavar="N", help="at most N frames, evenly spread (default: all)")
    options.add_argument("--output", type=Path, help="where the results go (default: in the run)")
    return options


def run(args: Namespace) -> int:
    """Measure, score, write and print."""
    chosen = {name: _words(args, name) for name in ("conditions", "corruptions", "severities") if getattr(args, name)}
    cfg = load_config(args.cfg, args.overrides)
    from ude.build.corruption_passes import Benchmark
    from ude.build.robustness import evaluate_corruptions

    benchmark = Benchmark(split=args.split or cfg.DATA.SPLIT_VAL, frames=args.frames, **chosen)
    print(evaluate_corruptions(cfg, benchmark, weights=args.weights, baseline=args.baseline, output=args.output))
    return 0


def _words(args: Namespace, name: str) -> list[str | int]:
    """The values of an option, digits as numbers."""
    return [int(word) if word.isdigit() else word for word in getattr(args, name)]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
