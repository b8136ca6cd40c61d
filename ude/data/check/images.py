"""Whether an image file can be read to its last pixel, and is the image that its frame needs.

A decoder alone does not tell: Pillow reads a PNG without its last twenty bytes, and both Pillow and torchvision give a
picture, half of it wrong, of a JPEG with a block of zero bytes, as an interrupted download leaves it. What is checked
beside decoding is therefore the end of the file, the checksums of a PNG's chunks, and what the JPEG decoder prints on
the standard error, which tells of every lost block of 4 kB. Less than that, down to a flipped bit, may leave the
decoder in step, and cannot be seen without a checksum of the original.
"""

import hashlib
import os
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ude.data.images import read_rgb
from ude.data.sample import FrameSource
from ude.files import DataError

from .problems import FRAME, IMAGE, FrameFiles, Problem, image_users, without_path

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_COMPLAINTS = ("Corrupt JPEG data", "Premature end of JPEG", "Inconsistent progression")
"""How libjpeg begins what it says of a damaged file that it decodes all the same."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What reading an image file has shown.

    Attributes:
        problem: why it cannot be used, None for a good file.
        digest: hash of its bytes, "" for a file that cannot be read.
        height: of the upright picture [px], 0 for a bad file.
        width: the same [px].
    """

    problem: str | None
    digest: str = ""
    height: int = 0
    width: int = 0


def examine_image(path: Path) -> ImageFacts:
    """Reads and decodes an image file in full."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ImageFacts("no such file")
    except OSError as error:
        return ImageFacts(f"cannot be read ({error.strerror})")
    if problem := incomplete(data):
        return ImageFacts(problem)
    complaints: list[str] = []
    try:
        with _decoder_heard(complaints):
            height, width, _ = read_rgb(path).shape
    except DataError as error:
        return ImageFacts(without_path(str(error), path))
    if complaints:
        return ImageFacts(f"decodes to a damaged picture ({complaints[0]})")
    return ImageFacts(None, hashlib.blake2b(data, digest_size=16).hexdigest(), height, width)


def incomplete(data: bytes) -> str | None:
    """What is missing from the bytes of an image file, None where nothing can be seen to be."""
    if not data:
        return "is empty"
    if data.startswith(_JPEG_START):
        return "is cut: the end of the image is missing" if data.rfind(_JPEG_END) <= data.rfind(_JPEG_SCAN) else None
    return _png_damage(memoryview(data)) if data.startswith(_PNG_START) else None


def image_problems(frames: Iterable[FrameFiles], facts: Mapping[Path, ImageFacts]) -> list[Problem]:
    """Images and neighbours that cannot be decoded, or are not of the size that their frame says.

    Args:
        frames: frames of a split.
        facts: what ``examine_image`` found, for the files that are there.
    """
    frames = [frame for frame in frames if not frame.filmed]
    sizes = {path: frame.size for frame in frames for path in (frame.image, *frame.neighbours)}
    problems = []
    for kind, paths in image_users(frames).items():
        for path, frame_ids in paths.items():
            problem = _misfit(facts[path], sizes[path]) if path in facts else None
            if problem:
                problems.append(Problem(kind, str(path), problem, frame_ids))
    return problems


def filmed_problems(source: FrameSource, frames: Iterable[FrameFiles]) -> list[Problem]:
    """Frames of videos that cannot be read; each is read through its source."""
    problems = []
    for frame in (frame for frame in frames if frame.filmed):
        for offset in (0, *source.offsets):
            try:
                size = source.image(frame.index, offset).shape[:2]
                problem = _misfit(ImageFacts(None, "", *size), frame.size)
            except DataError as error:
                problem = without_path(str(error), frame.image)
            if problem:
                words = f"frame {frame.frame_id} at {offset:+d}: {problem}"
                problems.append(Problem(FRAME, str(frame.image), words, (frame.frame_id,)))
    return problems


def repeated_images(frames: Iterable[FrameFiles], facts: Mapping[Path, ImageFacts]) -> list[Problem]:
    """Frames whose picture is, byte for byte, that of an earlier frame or of their own neighbour."""
    first: dict[str, str] = {}
    problems = []
    for frame in frames:
        if frame.filmed:
            continue
        digest = _digest(facts, frame.image)
        same = next((path for path in frame.neighbours if digest and _digest(facts, path) == digest), None)
        if same is not None:
            problem = f"is the same picture as its neighbour {same.name}"
            problems.append(Problem(IMAGE, str(frame.image), problem, (frame.frame_id,)))
        elif digest and first.setdefault(digest, frame.frame_id) != frame.frame_id:
            problem = f"is the same picture as that of frame {first[digest]}"
            problems.append(Problem(IMAGE, str(frame.image), problem, (frame.frame_id,)))
    return problems


def _digest(facts: Mapping[Path, ImageFacts], path: Path) -> str:
    return facts[path].digest if path in facts else ""


def _misfit(facts: ImageFacts, size: tuple[int, int] | None) -> str | None:
    if facts.problem or size in (None, (facts.height, facts.width)):
        return facts.problem
    return f"is {facts.height} x {facts.width}, not {size[0]} x {size[1]} (height x width)"


def _png_damage(data: memoryview) -> str | None:
    """Damage of a PNG's chunks: length (4 bytes), name (4), content, CRC-32 of name and content (4)."""
    start = len(_PNG_START)
    while start + 12 <= len(data):
        name, end = bytes(data[start + 4 : start + 8]), start + 12 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            break
        if zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return f"is damaged: the checksum of chunk {name!r} is wrong"
        if name == b"IEND":
            return None
        start = end
    return "is cut: the end of the image is missing"


@contextmanager
def _decoder_heard(complaints: list[str]) -> Iterator[None]:
    """Collects what the JPEG decoder, a C library, prints on the standard error; anything else goes through."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught:
                if line.decode(errors="replace").startswith(_COMPLAINTS):
                    complaints.append(line.decode(errors="replace").strip())
                else:
                    os.write(2, line)
