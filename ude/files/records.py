"""JSON documents and JSON Lines: standard JSON only, never NaN."""

import json
import os
from pathlib import Path
from typing import IO, Any

from .atomic import write_text
from .errors import DataError, MissingFileError, writing


def write_json(path: str | Path, value: Any) -> None:
    """Writes a value atomically as indented JSON.

    Raises:
        ValueError: the value holds NaN or infinity, which JSON has no words for; write None for "n/a".
    """
    write_text(path, json.dumps(value, allow_nan=False, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The value of a JSON file.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is not JSON.
    """
    return _parsed(_text(path), str(path))


def append_jsonl(path: str | Path, row: dict[str, Any]) -> None:
    """Adds one row to a JSON Lines file; a half-written last line of an earlier, killed run is cut off first.

    Raises:
        ValueError: the row holds NaN or infinity.
        DiskFullError: no space is left.
    """
    line = _line(row)
    with writing(Path(path)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b") as file:
            _cut_half_line(file)
            file.write(line.encode("utf-8"))


def write_jsonl(path: str | Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows atomically as a JSON Lines file.

    Raises:
        ValueError: a row holds NaN or infinity.
    """
    write_text(path, "".join(_line(row) for row in rows))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file, without a half-written last line.

    Raises:
        MissingFileError: there is no such file.
        DataError: a finished line is not a JSON object.
    """
    whole, _, _ = _text(path).rpartition("\n")
    rows = [(n, line) for n, line in enumerate(whole.split("\n"), start=1) if line.strip()]
    return [_row(line, f"line {n} of {path}") for n, line in rows]


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n"


def _row(line: str, place: str) -> dict[str, Any]:
    row = _parsed(line, place)
    if not isinstance(row, dict):
        raise DataError(f"{place} is not a JSON object; remove the line")
    return row


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig", errors="replace")
    except FileNotFoundError as error:
        raise MissingFileError(f"there is no file {path}; check the path") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from error


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise DataError(f"{place} is not valid JSON: {reason}; write or download it again") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _cut_half_line(file: IO[bytes]) -> None:
    if file.seek(0, os.SEEK_END) == 0:
        return
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
