"""Reading the text files of a RobotCar folder, and the drive behind the rendered one."""

import json
from pathlib import Path

from sample_world.robotcar_options import RobotCarOptions, Traversal


def stamps(folder: Path, name: str) -> list[int]:
    """Timestamps [us] of a traverse's `stereo` or `lms_front`."""
    return [int(line.split()[0]) for line in (folder / f"{name}.timestamps").read_text().splitlines()]


def table(path: Path) -> list[list[str]]:
    """Rows of a table without its head."""
    return [line.split(",") for line in path.read_text().splitlines()[1:]]


def drive(root: Path) -> Traversal:
    """The drive that a world in the RobotCar format shows."""
    values = json.loads((root / "world.json").read_text())
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    del values["format"], values["generator"]
    return Traversal(RobotCarOptions(**values))
