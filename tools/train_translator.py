"""Train the generative translator: `python tools/train_translator.py --cfg configs/finetune_lora.yaml`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from ude.config import load_config
from ude.config.command_line import parser, run_tool

EXAMPLE = """examples:
  python tools/train_translator.py --cfg configs/finetune_lora.yaml FINETUNE.FRAMES data/own
  python tools/train_translator.py --cfg configs/finetune_controlnet.yaml FINETUNE.FRAMES data/own --resume
  python tools/train_translator.py --cfg configs/finetune_scratch.yaml FINETUNE.FRAMES data/own NAME small"""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = parser("Train a translator on unlabelled frames of its conditions into OUTPUT_DIR/NAME.", EXAMPLE)
    options.add_argument("--resume", action="store_true", help="continue an unfinished run; a finished one stays")
    return options


def run(args: Namespace) -> int:
    """Train; says where the result lies."""
    cfg = load_config(args.cfg, args.overrides)
    from ude.build.finetune import train_translator
    from ude.build.training import run_folder

    trained = train_translator(cfg, resume=args.resume)
    print(f"{run_folder(cfg)}: {'done' if trained else 'was finished already'}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
