"""Evaluate on RobotCar: `python tools/evaluate_robotcar.py --cfg configs/robotcar.yaml --weights outputs/RUN`."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial

from ude.build.evaluation_tool import evaluation_parser, run_evaluation
from ude.config.command_line import run_tool

EXAMPLE = """examples:
  python tools/evaluate_robotcar.py --cfg configs/robotcar.yaml --weights outputs/student_robotcar --published
  python tools/evaluate_robotcar.py --cfg configs/robotcar.yaml --weights teacher=outputs/teacher_robotcar
      student=outputs/student_robotcar_1 student=outputs/student_robotcar_2 --split test
configs/robotcar.yaml has the rules of the published numbers: the upper 768 of 960 rows, LiDAR from 0.1 m to 50 m. The
raw traverses are made ready by tools/prepare_robotcar.py. Writes what tools/evaluate.py --help describes."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    return evaluation_parser("Evaluate depth predictors on Oxford RobotCar, by day and at night.", EXAMPLE)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(partial(run_evaluation, source="robotcar"), build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
