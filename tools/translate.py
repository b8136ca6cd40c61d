"""Translate day frames into night and rain: `python tools/translate.py --cfg configs/translate_sd15.yaml`."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence

from ude.config import load_config
from ude.config.command_line import parser, run_tool

EXAMPLE = """examples:
  python tools/translate.py --cfg configs/translate_sd15.yaml TRANSLATOR.REFERENCES data/references
  python tools/translate.py --cfg configs/translate_sd15.yaml TRANSLATOR.KIND simulated NAME simulated
  torchrun --nproc-per-node 4 tools/translate.py --cfg configs/translate_sd15.yaml    a part for each of four GPUs
  python tools/translate.py --cfg configs/translate_sd15.yaml --shard 2/16            the third of sixteen parts
A second call with the same config goes on where the first one stopped.
Exit codes: 0 done, 3 too many images in quarantine (TRANSLATOR.QUALITY.MAX_REJECTED), 130 and 143 interrupted."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = parser("Translate the training frames of a config into OUTPUT_DIR/NAME/<condition>.", EXAMPLE)
    options.add_argument(
        "--shard",
        metavar="i/n",
        type=_part,
        help="translate every n-th frame, beginning with frame i; default: RANK and WORLD_SIZE, or all frames",
    )
    return options


def run(args: Namespace) -> int:
    """Translate; exit code 3 when too many of all images are in quarantine."""
    cfg = load_config(args.cfg, args.overrides)
    from ude.build.training import run_folder
    from ude.build.translation import translate
    from ude.translation.run import Shard

    summary = translate(cfg, shard=None if args.shard is None else Shard(*args.shard))
    print(
        f"{run_folder(cfg)}: {summary.translated} translated, {summary.finished} there already, "
        f"{summary.quarantine} of {summary.total} in quarantine"
    )
    print(summary.gallery or "the last of the other shards writes the gallery")
    # the last shard alone judges, by all images: torchrun stops all others when one ends with another code than 0
    return 3 if (summary.rejected or 0) > cfg.TRANSLATOR.QUALITY.MAX_REJECTED else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


def _part(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise ArgumentTypeError(f"must be i/n with 0 <= i < n, such as 0/2 and 1/2, got {text!r}")
    return int(index), int(count)


if __name__ == "__main__":
    sys.exit(main())
