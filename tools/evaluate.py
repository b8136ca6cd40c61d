"""Evaluate on any DATA.SOURCE: `python tools/evaluate.py --cfg configs/X.yaml --weights outputs/RUN`."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from ude.build.evaluation_tool import evaluation_parser, run_evaluation
from ude.config.command_line import run_tool

EXAMPLE = """examples:
  python tools/evaluate.py --cfg configs/nuscenes.yaml --weights outputs/student --split foggy DATA.SOURCE drivingstereo
      DATA.ROOT data/drivingstereo EVAL.PROTOCOL ude
  python tools/evaluate.py --cfg configs/demo.yaml --weights outputs/demo/teacher saved=predictions/student
A run folder gets its results in RUN/eval/<split>, with -<protocol> and -<alignment> behind it where they are not md4all
and median, and <source>- before it for another DATA.SOURCE than it was trained on; other predictors in
OUTPUT_DIR/eval/<source>-<split>/NAME: metrics.json, per_frame.csv, table.md, table.tex and report.html.
Of several predictors, or with --published, OUTPUT_DIR/eval/<source>-<split> has comparison.json, table.md, table.tex
and the report of all. Networks of relative depth (Depth Anything, MiDaS) need EVAL.ALIGNMENT least_squares."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    return evaluation_parser("Evaluate depth predictors against the depth of any data set, by EVAL.PROTOCOL.", EXAMPLE)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run_evaluation, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
