"""Evaluate on nuScenes: `python tools/evaluate_nuscenes.py --cfg configs/nuscenes.yaml --weights outputs/RUN`."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial

from ude.build.evaluation_tool import evaluation_parser, run_evaluation
from ude.config.command_line import run_tool

EXAMPLE = """examples:
  python tools/evaluate_nuscenes.py --cfg configs/nuscenes.yaml --weights outputs/student_nuscenes --published
  python tools/evaluate_nuscenes.py --cfg configs/demo.yaml --weights outputs/demo/student --split test
  python tools/evaluate_nuscenes.py --cfg configs/nuscenes.yaml --weights teacher=outputs/teacher_nuscenes
      student=outputs/student_1 student=outputs/student_2 student=outputs/student_3
  torchrun --nproc-per-node 2 tools/evaluate_nuscenes.py --cfg configs/nuscenes.yaml --weights outputs/student_nuscenes
Writes what tools/evaluate.py --help describes."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    return evaluation_parser("Evaluate depth predictors on nuScenes, by day, at night and in rain.", EXAMPLE)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(partial(run_evaluation, source="nuscenes"), build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
