"""Teachers, students and their table: `python tools/ablation.py --cfg configs/ablation/sample_world.yaml`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from ude.config.command_line import parser, run_tool

EXAMPLE = """examples, the first one renders the sample world:
  python tools/sample_world --output outputs/ablation/world --val-streets 12 --test-streets 30
  python tools/ablation.py --cfg configs/ablation/sample_world.yaml
  python tools/ablation.py --cfg configs/ablation/sample_world.yaml OUTPUT_DIR /data/runs DATA.ROOT /data/world
Writes table.md and table.json into the file's OUTPUT_DIR, after every run again. A second call goes on where the first
one stopped; what is finished, and made by the same config, stays. KEY VALUE changes the configs of all rows."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    return parser("Train and evaluate every row of an ablation with every seed, and write its tables.", EXAMPLE)


def run(args: Namespace) -> int:
    """Train, evaluate and print the tables."""
    from ude.build.ablation import run_ablation
    from ude.build.ablation_plan import read_ablation

    ablation = read_ablation(args.cfg, args.overrides)
    print(run_ablation(ablation))
    print(f"tables: {ablation.output}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
