"""Command line: `python tools/sample_world --output DIR`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

if __name__ == "__main__":  # a folder run as a script is its own import path: its parent must be
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from sample_world.nuscenes_world import WorldError, WorldOptions, write_nuscenes
from sample_world.renderer import CONDITIONS

EXAMPLES = """examples:
  the demo's world (60 training streets, 6 validation and 6 test streets in four conditions):
    python tools/sample_world --output data/world
  a small one in seconds, with every picture's neighbours:
    python tools/sample_world --output data/tiny --train-scenes 2 --val-streets 1 --test-streets 1 \\
        --train-key-frames 4 --eval-key-frames 2 --eval-sweeps --size 96 160 --workers 1
  the training streets at night and in rain, too:
    python tools/sample_world --output data/ceiling --train-conditions day-clear night-clear day-rain
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        argv: arguments without the program's name; None takes those of the process.
    """
    parser = build_parser()
    arguments = vars(parser.parse_args(argv))
    output = arguments.pop("output")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
    try:
        write_nuscenes(output, WorldOptions(**values))
    except ValueError as error:
        parser.error(str(error))
    except WorldError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Options of this tool."""
    parser = argparse.ArgumentParser(
        prog="python tools/sample_world",
        description="Render a procedural street world to disk in the nuScenes format.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the data set")
    helps = _option_helps()
    for option in fields(WorldOptions):
        settings: dict = {"default": option.default, "help": f"{helps[option.name]} (default: %(default)s)"}
        if isinstance(option.default, bool):
            settings["action"] = argparse.BooleanOptionalAction
        elif isinstance(option.default, tuple):
            settings |= {"type": type(option.default[0]), "nargs": 2 if option.name == "size" else "+"}
            settings["metavar"] = ("HEIGHT", "WIDTH") if option.name == "size" else "CONDITION"
        else:
            settings |= {"type": type(option.default), "metavar": "N"}
        if option.name.endswith("conditions"):
            settings["choices"] = CONDITIONS
        parser.add_argument(f"--{option.name.replace('_', '-')}", **settings)
    return parser


def _option_helps() -> dict[str, str]:
    """Help lines from the attributes in the docstring of WorldOptions."""
    lines = (WorldOptions.__doc__ or "").split("Attributes:")[1].splitlines()
    pairs = [line.strip().split(": ", 1) for line in lines if ": " in line]
    return dict(pairs)


if __name__ == "__main__":
    sys.exit(main())
