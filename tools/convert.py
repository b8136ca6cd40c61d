"""Weights of other projects as a run folder: `python tools/convert.py md4all baseline.ckpt --output outputs/md4all`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from ude.config import ConfigError
from ude.config.command_line import bare_parser, run_tool
from ude.config.validate import CHOICES

EXAMPLE = """examples:
  python tools/convert.py md4all baseline_nuscenes.ckpt --output outputs/md4all_nuscenes
  python tools/convert.py monodepth2 mono_640x192 --output outputs/monodepth2
  python tools/convert.py depth_anything depth_anything_v2_vits.pth --backbone dinov2_vits14 --output outputs/anything
The result serves as MODEL.TEACHER, as MODEL.DEPTH.WEIGHTS, and for evaluate_nuscenes.py --weights.
Nothing in the source is run. The licence of the source holds for the result."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = bare_parser("Turn weights of md4all, monodepth2 or Depth Anything into a run folder.", EXAMPLE)
    options.add_argument("format", choices=("md4all", "monodepth2", "depth_anything"))
    options.add_argument("source", type=Path, help="file or folder with the weights")
    options.add_argument("--output", type=Path, required=True, metavar="RUN", help="run folder to write")
    for flag, key, use in (
        ("--normalisation", "MODEL.DEPTH.NORMALISATION", "default: that of the source"),
        ("--backbone", "MODEL.DEPTH.BACKBONE", "needed for depth_anything, for it alone"),
    ):
        options.add_argument(flag, choices=CHOICES[key], metavar="NAME", help=f"as {key}; {use}")
    return options


def run(args: Namespace) -> int:
    """Convert; says what was taken over and what was not."""
    options = {key: value for key in ("normalisation", "backbone") if (value := getattr(args, key))}
    if (args.format == "depth_anything") != (args.backbone is not None):
        raise ConfigError(f"--backbone is for depth_anything, which needs it; got {args.backbone} for {args.format}")
    from ude.models.convert import convert

    conversion = convert(args.format, args.source, args.output, **options)
    for fate, count in conversion.tensors.items():
        print(f"{count:5d} tensors: {fate}")
    print("\n".join(f"note: {note}" for note in conversion.notes))
    print(f"result: {args.output}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
