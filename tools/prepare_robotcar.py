"""Prepare raw RobotCar traverses: `python tools/prepare_robotcar.py --raw RAW --output data/robotcar`."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path

from ude.config import ConfigError, load_config
from ude.config.command_line import bare_parser, run_tool

EXAMPLE = """examples:
  python tools/prepare_robotcar.py --raw robotcar_raw --sdk robotcar-dataset-sdk --output data/robotcar --workers 8
  python tools/prepare_robotcar.py --cfg configs/robotcar.yaml --raw robotcar_raw --traverse 2014-12-16-18-44-24
  python tools/prepare_robotcar.py --raw robotcar_raw --output data/robotcar_floor --interpolation floor
  python tools/prepare_robotcar.py --raw robotcar_raw --output data/robotcar --import-md4all splits/*_train_stride_1.txt
RAW holds a folder per traverse, as downloaded: stereo/, lms_front/, vo/ or gps/, and the .timestamps files. It is only
read. Each file of the RobotCar SDK (models/, extrinsics/) is taken from --sdk or DATA.ROBOTCAR_SDK, else from RAW, else
from PYTHONPATH; put the look-up tables (models/*_distortion_lut.bin), which come with the data's camera models and not
with the SDK's repository, in any of them. A second call goes on where the first one stopped."""


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = bare_parser(
        "Undistorted colour images, depth of accumulated laser scans and poses for RobotCar.", EXAMPLE
    )
    options.add_argument("--raw", type=Path, required=True, metavar="DIR", help="folder of the raw traverses")
    options.add_argument("--output", type=Path, metavar="DIR", help="folder to write (default: DATA.ROOT of --cfg)")
    options.add_argument(
        "--sdk", metavar="DIR", help="RobotCar SDK (default: DATA.ROBOTCAR_SDK of --cfg, else searched)"
    )
    options.add_argument("--cfg", "--config", metavar="FILE", help="configuration, for the defaults of the two above")
    options.add_argument("--traverse", nargs="+", default=[], metavar="NAME", help="these traverses (default: all)")
    options.add_argument(
        "--condition",
        nargs="+",
        default=[],
        type=_condition,
        metavar="NAME=CONDITION",
        help="condition of a traverse that the SDK's tags do not tell, e.g. 2015-02-03-08-45-10=day-clear",
    )
    options.add_argument(
        "--margin", type=float, default=4.0, help="accumulate scans this long before and after [s] (4)"
    )
    options.add_argument("--poses", choices=("vo", "ins", "rtk"), default="vo", help="what moves scans together (vo)")
    options.add_argument(
        "--interpolation",
        choices=("linear", "floor"),
        default="linear",
        help="of the poses; floor repeats the SDK's errors, as published ground truth does (linear)",
    )
    cameras = ("stereo_wide_left", "stereo_wide_right", "stereo_narrow_left")
    options.add_argument("--camera", choices=cameras, default=cameras[0], help=f"({cameras[0]})")
    options.add_argument(
        "--format",
        choices=("png", "jpg"),
        default="png",
        help="png is exact, jpg (quality 95, 4:4:4) takes a quarter of the space (png)",
    )
    options.add_argument("--workers", type=int, default=1, help="number of processes (1)")
    options.add_argument("--limit", type=int, metavar="N", help="only the first N images of each traverse")
    options.add_argument(
        "--import-md4all",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="only turn split files of md4all into ours, for the frames prepared in the output folder",
    )
    options.add_argument(
        "overrides", nargs="*", metavar="KEY VALUE", help="keys of --cfg to change, e.g. DATA.ROOT DIR"
    )
    return options


def run(args: Namespace) -> int:
    """Prepare, or import split files; print what came of it, also of the other traverses if one cannot be prepared."""
    problems = [
        ("--margin must be above 0", args.margin > 0),
        ("--workers must be at least 1", args.workers >= 1),
        ("--limit must be at least 1", args.limit is None or args.limit >= 1),
        ("KEY VALUE changes a key of --cfg, which is not given", args.cfg or not args.overrides),
    ]
    if wrong := [text for text, right in problems if not right]:
        raise ConfigError("; ".join(wrong))
    sdk, output = args.sdk or "", args.output
    if args.cfg:
        cfg = load_config(args.cfg, args.overrides)
        sdk, output = sdk or cfg.DATA.ROBOTCAR_SDK, output or Path(cfg.DATA.ROOT)
    if output is None:
        raise ConfigError("--output is needed, or --cfg with DATA.ROOT")
    if args.import_md4all:
        return _import(args.import_md4all, output)
    from ude.data.robotcar import Preparation, UnpreparedError, prepare
    from ude.files import exit_on_terminate

    try:
        with exit_on_terminate():
            summaries = prepare(
                args.raw,
                output,
                Preparation(args.margin, args.poses, args.interpolation, args.camera, args.format),
                sdk=sdk,
                traverses=args.traverse,
                conditions=dict(args.condition),
                workers=args.workers,
                limit=args.limit,
            )
    except UnpreparedError as error:
        _print(error.summaries)
        raise
    _print(summaries)
    print(f"result: {output}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


def _import(files: Sequence[Path], output: Path) -> int:
    from ude.data.robotcar import import_md4all, read_prepared

    traverses = read_prepared(output)
    for file in files:
        split = output / "splits" / f"{file.stem}.txt"
        counts, left_out = import_md4all(file, traverses, split)
        print(f"{split}: {counts.total()} frames, {left_out} more are not prepared")
    return 0


def _print(summaries: list[dict]) -> None:
    for summary in summaries:
        print(_words(summary))


def _words(summary: dict) -> str:
    """What was prepared of a traverse, in a line, and what is wrong, in a line each."""
    counts = {**summary["left_out"], **{f"without LiDAR ({k})": n for k, n in summary["without_lidar"].items()}}
    counts |= {"without odometry": summary["without_odometry"], **summary["filtered"]}
    found = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count) or "all complete"
    frames = f"{summary['traverse']} ({summary['condition']}): {summary['frames']} frames prepared; {found}"
    return "\n".join(
        [frames, *(f"  damaged: {line}" for line in (*summary["damaged_images"], *summary["damaged_scans"]))]
    )


def _condition(text: str) -> tuple[str, str]:
    from ude.data.sample import CONDITIONS

    name, _, condition = text.partition("=")
    if not name or condition not in CONDITIONS:
        raise ArgumentTypeError(f"must be TRAVERSE=CONDITION with a condition of {', '.join(CONDITIONS)}, got {text!r}")
    return name, condition


if __name__ == "__main__":
    sys.exit(main())
