"""Split files of a data set: `python tools/make_splits.py --cfg configs/nuscenes.yaml --output outputs/splits`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from ude.config import ConfigError, load_config
from ude.config.command_line import bare_parser, run_tool

EXAMPLE = """examples:
  python tools/make_splits.py --cfg configs/nuscenes.yaml --output outputs/splits
  python tools/make_splits.py --cfg configs/nuscenes.yaml --output outputs/splits_md4all DATA.RULES md4all
  python tools/make_splits.py --check outputs/splits/train.txt
  python tools/make_splits.py --cfg configs/nuscenes.yaml --import-md4all train_samples_dynamic.json --output outputs/m
  python tools/make_splits.py --import-monodepth2 eigen_zhou/train_files.txt --output outputs/kitti
The files have "frame_id condition" lines below a header with rule, counts and SHA-256; DATA.SPLIT_TRAIN and SPLIT_VAL
take them. SPLIT_TRAIN becomes its training frames, other splits all frames; a split that is both SPLIT_TRAIN and
SPLIT_VAL becomes <split>.train.txt and <split>.txt. Lists of other projects are read, never run."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = bare_parser(
        "Write the splits of a data set as files, check such files, or import those of others.", EXAMPLE
    )
    options.add_argument("--cfg", "--config", metavar="FILE", help="configuration, e.g. configs/nuscenes.yaml")
    options.add_argument("--output", type=Path, metavar="FOLDER", help="where the files go; not in the data set")
    options.add_argument(
        "--splits",
        nargs="+",
        metavar="NAME",
        help="default: DATA.SPLIT_TRAIN, DATA.SPLIT_VAL, and test if the source has it",
    )
    task = options.add_mutually_exclusive_group()
    task.add_argument("--check", type=Path, metavar="FILE", help="verify counts and SHA-256 of a file of this tool")
    task.add_argument("--import-md4all", type=Path, metavar="JSON", help="md4all's train_samples_dynamic.json")
    task.add_argument("--import-monodepth2", type=Path, metavar="LIST", help="lines 'folder frame side' of KITTI raw")
    options.add_argument("overrides", nargs="*", metavar="KEY VALUE", help="keys to change, e.g. DATA.RULES md4all")
    return options


def run(args: Namespace) -> int:
    """Write or check, and print the counts."""
    from ude.data.splits import check_split, counted

    if args.check:
        print(f"{args.check}: right, {counted(check_split(args.check))}")
        return 0
    if args.output is None or (args.cfg is None and args.import_monodepth2 is None):
        raise ConfigError("--output FOLDER is needed, and --cfg FILE but for --import-monodepth2")
    if args.overrides and args.cfg is None:
        raise ConfigError(f"{args.overrides[0]}: keys are changed together with --cfg FILE only")
    from ude.build.splits import md4all_splits, monodepth2_split, source_splits

    if args.import_monodepth2:
        written = monodepth2_split(args.import_monodepth2, args.output)
    else:
        cfg = load_config(args.cfg, args.overrides)
        written = (
            md4all_splits(cfg, args.import_md4all, args.output)
            if args.import_md4all
            else source_splits(cfg, args.splits, args.output)
        )
    for path, counts in written:
        print(f"{path}: {counted(counts)}" if counts else f"{path.stem}: no frames in this version, no file written")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
