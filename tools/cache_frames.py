"""Keep frames decoded and resized: `python tools/cache_frames.py --cfg configs/X.yaml DATA.CACHE_ROOT DIR`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from ude.config import ConfigError, load_config
from ude.config.command_line import parser, run_tool

EXAMPLE = """examples:
  python tools/cache_frames.py --cfg configs/teacher_nuscenes.yaml DATA.CACHE_ROOT /scratch/nuscenes
  python tools/cache_frames.py --cfg configs/student_nuscenes.yaml --format jpeg DATA.CACHE_ROOT /scratch/small
  python tools/cache_frames.py --cfg configs/nuscenes.yaml --split val test --lidar DATA.CACHE_ROOT /scratch/nuscenes
Name the folder in DATA.CACHE_ROOT of the config, too. A killed run goes on where it was; a repeated one checks every
frame, and makes those anew whose image files have changed."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = parser(
        "Keep the frames of a config decoded, cropped and resized, in the folder DATA.CACHE_ROOT.", EXAMPLE
    )
    options.add_argument(
        "--split",
        nargs="+",
        default=["train", "val"],
        metavar="SPLIT",
        help="train: training frames with what the stage needs; val: DATA.SPLIT_VAL; others to evaluate on "
        "(default: train val)",
    )
    options.add_argument(
        "--format",
        choices=("memmap", "jpeg"),
        default="memmap",
        help="memmap: exact bytes; jpeg: a sixth of the room or less, at 40 dB (default: %(default)s)",
    )
    options.add_argument(
        "--lidar",
        action="store_true",
        help="also keep LiDAR depth of the splits to evaluate on, and of train if the stage learns from it",
    )
    options.add_argument("--threads", type=int, metavar="N", help="images to decode at a time (default: one per core)")
    return options


def run(args: Namespace) -> int:
    """Fill the cache; says what is in it."""
    if args.threads is not None and args.threads < 1:
        raise ConfigError(f"--threads {args.threads}: must be at least 1")
    cfg = load_config(args.cfg, args.overrides)
    from ude.build.caches import lidar_splits, write_frames, write_lidar

    with_lidar = lidar_splits(cfg, args.split) if args.lidar else []
    made = write_frames(cfg, args.split, store=args.format, threads=args.threads)
    for problem in made.problems:
        print(f"cannot be read: {problem}", file=sys.stderr)
    print(
        f"{cfg.DATA.CACHE_ROOT}: {made.made} files decoded, {made.kept} kept, {len(made.problems)} unreadable, "
        f"{made.bytes / 1e9:.2f} GB"
    )
    if with_lidar:
        print(f"LiDAR depth: {write_lidar(cfg, with_lidar)} frames projected")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
