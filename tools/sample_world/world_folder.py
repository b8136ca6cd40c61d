"""The folder that a world is written to: whose it is, and how it comes to its place in one piece."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

OPTIONS_FILE = "world.json"
NUSCENES = "nuscenes"


class WorldError(Exception):
    """The output folder is unfit; the message is one line that names it and the remedy."""

    exit_code = 4


def finished(output: Path, wanted: dict) -> bool:
    """Whether a folder holds the world that is wanted; False if there is nothing.

    Args:
        output: folder of the data set.
        wanted: what tells this world from others.

    Raises:
        WorldError: the folder holds anything else.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    try:
        found = json.loads((output / OPTIONS_FILE).read_text())
    except (OSError, ValueError):
        raise WorldError(f"{output} is no sample world; choose another folder") from None
    layout = found.get("format", NUSCENES)
    if layout != wanted.get("format", NUSCENES):
        raise WorldError(f"{output} holds a sample world in the format {layout}; choose another folder")
    differences = [
        f"{name} {found.get(name)}, not {value}" for name, value in wanted.items() if found.get(name) != value
    ]
    if differences:
        raise WorldError(f"{output} holds another sample world ({'; '.join(differences)}); choose another folder")
    return True


@contextmanager
def building(output: Path, identity: dict) -> Iterator[Path]:
    """A temporary folder beside `output` that takes its place when all went well, and is removed when not.

    Args:
        output: folder of the data set; empty or not there.
        identity: what tells this world from others, kept in `world.json`.
    """
    temporary = output.resolve().with_name(f".tmp-{output.resolve().name}")
    shutil.rmtree(temporary, ignore_errors=True)  # left behind by a killed process
    try:
        temporary.mkdir(parents=True)
        yield temporary
        (temporary / OPTIONS_FILE).write_text(json.dumps(identity, indent=2) + "\n")
        if output.exists():
            output.rmdir()
        os.replace(temporary, output.resolve())
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_image(path: Path, image: np.ndarray, *settings: int) -> None:
    """Write a grey or RGB image; OpenCV only encodes it, since its own writer hides a full disk.

    Args:
        path: file to write; its suffix decides the format.
        image: (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB.
        settings: flags and values of OpenCV's encoder.
    """
    channels = image[..., ::-1] if image.ndim == 3 else image
    _, data = cv2.imencode(path.suffix, channels, list(settings))
    path.write_bytes(data.tobytes())
