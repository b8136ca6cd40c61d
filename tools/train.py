"""Train a teacher or a student: `python tools/train.py --cfg configs/teacher_nuscenes.yaml`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from ude.config import load_config
from ude.config.command_line import parser, run_tool

EXAMPLE = """examples:
  python tools/train.py --cfg configs/teacher_nuscenes.yaml DATA.ROOT data/nuscenes
  python tools/train.py --cfg configs/student_nuscenes.yaml --resume
  python tools/train.py --cfg configs/teacher_nuscenes.yaml NAME small MODEL.DEPTH.BACKBONE dinov2_vits14"""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = parser("Train the stage of a config into OUTPUT_DIR/NAME.", EXAMPLE)
    options.add_argument("--resume", action="store_true", help="continue an unfinished run; a finished one stays")
    return options


def run(args: Namespace) -> int:
    """Train; says where the result lies."""
    cfg = load_config(args.cfg, args.overrides)
    from ude.build.training import run_folder, train

    trained = train(cfg, resume=args.resume)
    print(f"{run_folder(cfg)}: {'done' if trained else 'was finished already'}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
