"""Check the data of a config: `python tools/check_data.py --cfg configs/nuscenes.yaml --deep`."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ude.config import load_config
from ude.config.command_line import parser, run_tool

if TYPE_CHECKING:
    from ude.data.check import DataCheck

EXAMPLE = """examples:
  python tools/check_data.py --cfg configs/nuscenes.yaml
  python tools/check_data.py --cfg configs/nuscenes.yaml --deep --split train val test
Counts frames and files per split and condition. --deep also decodes every image and reads every LiDAR file.
Writes report.json, and broken.json, which DATA.EXCLUDE takes. Exit code 4: something is broken or leaks."""
EXIT_BROKEN = 4
COUNTS = Path(__file__).parents[1] / "data_splits" / "expected_counts.json"
SHOWN = 20


def build_parser() -> ArgumentParser:
    """Options of this tool."""
    options = parser("Check what is there of a data set, what is broken, and what leaks between splits.", EXAMPLE)
    options.add_argument("--deep", action="store_true", help="decode every image and read every LiDAR file in full")
    options.add_argument(
        "--split", nargs="+", metavar="SPLIT", help="names or files (default: DATA.SPLIT_TRAIN and DATA.SPLIT_VAL)"
    )
    options.add_argument(
        "--output", type=Path, help="where the results go (default: <OUTPUT_DIR>/check/<DATA.SOURCE>-<NAME>)"
    )
    options.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that decode (default: one per core)"
    )
    options.add_argument("--strict", action="store_true", help="counts other than the expected ones are errors, too")
    return options


def run(args: Namespace) -> int:
    """Check, write and print."""
    cfg = load_config(args.cfg, args.overrides)
    from ude.build.checks import BROKEN, REPORT, check_data
    from ude.data.check import table, unexpected

    output = args.output or Path(cfg.OUTPUT_DIR) / "check" / f"{cfg.DATA.SOURCE}-{cfg.NAME}"
    found = check_data(cfg, args.split, deep=args.deep, workers=max(args.workers, 0), output=output, counts=COUNTS)
    print(f"\n{table(found.rows)}\n")
    for line in (*left_out(found), *decoding(found)):
        print(line)
    surprises = unexpected(found.rows)
    for surprise in surprises:
        print(f"warning: {surprise}")
    for train, val in found.overlaps:
        names = train if train == val else f"{train} and {val}"
        print(f"warning: {names}: trained and evaluated on the same frames; write two split files")
    print_problems(found, output / BROKEN, deep=args.deep)
    print(f"report: {output / REPORT}")
    return EXIT_BROKEN if not found.clean or (args.strict and surprises) else 0


def left_out(found: "DataCheck") -> list[str]:
    """Lines about frames that the source itself leaves out."""
    return [
        f"{split.split}: {count} frames left out, {reason}"
        for split in found.splits
        for reason, count in split.left_out.items()
    ]


def decoding(found: "DataCheck") -> list[str]:
    """A line about how many images were decoded, or what is known of them from before, if anything."""
    if found.kept:
        return [f"{counted(found.kept, 'findings')} of an earlier --deep check kept, of files unchanged since"]
    if not found.decoded + found.known:
        return []
    rate = f" at {found.decoded / found.seconds:.0f} per second" if found.decoded and found.seconds else ""
    known = f"; {found.known} known to be good and unchanged" if found.known else ""
    return [f"{found.decoded} images decoded{rate}{known}"]


def print_problems(found: "DataCheck", broken: Path, *, deep: bool) -> None:
    """Names what is broken and what leaks, and what to do about it."""
    for error in found.errors:
        print(f"error: {error}")
    for leak in found.leaks:
        names = ", ".join(leak.names[:3]) + (", ..." if len(leak.names) > 3 else "")
        print(f"leak: {' and '.join(leak.splits)} share {counted(len(leak.names), leak.what)}: {names}")
    if found.leaks:
        print("remedy: take what is shared out of one of the two split files")
    problems = found.problems
    if problems:
        kinds = Counter(problem.kind for problem in problems)
        print("broken: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    for problem in problems[:SHOWN]:
        print(f"broken: {problem.path}: {problem.problem} ({counted(len(problem.frame_ids), 'frames')})")
    if len(problems) > SHOWN:
        print(f"... and {len(problems) - SHOWN} more in {broken}")
    if problems:
        print("remedy: copy or download these files again (translations: remove them and translate again),")
        print(f"        or leave their frames out with DATA.EXCLUDE {broken}")
    elif found.clean:
        print("nothing is broken" + (" (files were not decoded: --deep)" if not deep else ""))


def counted(number: int, things: str) -> str:
    """A number of things, in words."""
    return f"{number} {things if number > 1 else things.removesuffix('s')}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(run, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
