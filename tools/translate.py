"""Translate day frames into night and rain: `python tools/translate.py --cfg configs/translate_sd15.yaml`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from ude.config import load_config
from ude.config.command_line import parser, run_tool

EXAMPLE = """examples:
  python tools/translate.py --cfg configs/translate_sd15.yaml TRANSLATOR.REFERENCES data/references
  python tools/translate.py --cfg configs/translate_sd15.yaml TRANSLATOR.KIND simulated NAME simulated
A second call with the same config goes on where the first one stopped."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    return parser("Translate the training frames of a config into OUTPUT_DIR/NAME/<condition>.", EXAMPLE)


def run(args: Namespace) -> int:
    """Translate; exit code 3 when some frames failed."""
    cfg = load_config(args.cfg, args.overrides)
    from ude.build.training import run_folder
    from ude.build.translation import translate

    summary = translate(cfg)
    print(f"{run_folder(cfg)}: {summary.done} translated, {summary.skipped} there already, {summary.failed} failed")
    return 3 if summary.failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
