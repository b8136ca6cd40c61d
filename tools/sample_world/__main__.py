"""Command line: `python tools/sample_world --output DIR`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # a folder run as a script is its own import path: its parent must be
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from sample_world.nuscenes_world import WorldError, WorldOptions, write_nuscenes
from sample_world.renderer import CONDITIONS
from sample_world.robotcar_world import RobotCarOptions, write_robotcar

FORMATS: dict[str, tuple[type, Any]] = {
    "nuscenes": (WorldOptions, write_nuscenes),
    "robotcar": (RobotCarOptions, write_robotcar),
}
EXAMPLES = """examples:
  the demo's world (60 training streets, 6 validation and 6 test streets in four conditions):
    python tools/sample_world --output data/world
  a small one in seconds, with every picture's neighbours:
    python tools/sample_world --output data/tiny --train-scenes 2 --val-streets 1 --test-streets 1 \\
        --train-key-frames 4 --eval-key-frames 2 --eval-sweeps --size 96 160 --workers 1
  the training streets at night and in rain, too:
    python tools/sample_world --output data/ceiling --train-conditions day-clear night-clear day-rain
  raw RobotCar traverses of one drive by day and at night, with the SDK's models and extrinsics:
    python tools/sample_world --format robotcar --output data/robotcar_raw
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        argv: arguments without the program's name; None takes those of the process.
    """
    parser = build_parser()
    arguments = vars(parser.parse_args(argv))
    output, layout = arguments.pop("output"), arguments.pop("format")
    options, write = FORMATS[layout]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
    foreign = sorted(set(values) - {option.name for option in fields(options)})
    if foreign:
        parser.error(f"--format {layout} has no --{' --'.join(foreign).replace('_', '-')}")
    try:
        write(output, options(**values))
    except ValueError as error:
        parser.error(str(error))
    except WorldError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Options of this tool; those that are not given stay out of the result."""
    parser = argparse.ArgumentParser(
        prog="python tools/sample_world",
        description="Render a procedural street world to disk in the nuScenes or the RobotCar format.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--format", choices=FORMATS, default="nuscenes", help="layout on disk (default: %(default)s)")
    added: set[str] = set()
    for layout, (options, _) in FORMATS.items():
        group = parser.add_argument_group(f"options of --format {layout}" + (", besides those above" if added else ""))
        for option in fields(options):
            if option.name not in added:
                group.add_argument(f"--{option.name.replace('_', '-')}", **_settings(option.name))
                added.add(option.name)
    return parser


def _settings(name: str) -> dict:
    """Arguments of `add_argument` for one option of one or more formats."""
    defaults, helps = {}, []
    for layout, (options, _) in FORMATS.items():
        for option in fields(options):
            if option.name == name:
                defaults[layout] = option.default
                helps.append(_option_helps(options)[name])
    shown = [_shown(default) + (f" in {layout}" if len(defaults) > 1 else "") for layout, default in defaults.items()]
    default = next(iter(defaults.values()))
    settings: dict = {"default": argparse.SUPPRESS, "help": f"{helps[0]} (default: {', '.join(shown)})"}
    if isinstance(default, bool):
        settings["action"] = argparse.BooleanOptionalAction
    elif isinstance(default, tuple):
        settings |= {"type": type(default[0]), "nargs": 2 if name == "size" else "+"}
        settings["metavar"] = ("HEIGHT", "WIDTH") if name == "size" else "CONDITION"
    else:
        settings |= {"type": type(default), "metavar": "N"}
    if name.endswith("conditions"):
        settings["choices"] = CONDITIONS
    return settings


def _shown(default: object) -> str:
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _option_helps(options: type) -> dict[str, str]:
    """Help lines from the attributes in the docstring of a class of options."""
    lines = (options.__doc__ or "").split("Attributes:")[1].splitlines()
    pairs = [line.strip().split(": ", 1) for line in lines if ": " in line]
    return dict(pairs)


if __name__ == "__main__":
    sys.exit(main())
