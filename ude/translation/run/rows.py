"""Rows of a JSON Lines file that several processes write, one file each, until the last of them joins the files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from ude.files import append_jsonl, read_jsonl, write_jsonl

Row = dict[str, Any]


class SharedRows:
    """What is known about frames or images: `<name>.jsonl`, and `<name>.<part>.jsonl` of processes at work.

    The latest row of an image counts. Rows may be added from several threads.

    Args:
        output: folder of the files.
        name: stem of the files.
        part: name of this process's part, different from that of any other process at work.
        keys: which columns tell the rows apart, the frame's id first.
    """

    def __init__(self, output: Path, name: str, *, part: str, keys: tuple[str, ...] = ("frame_id",)) -> None:
        self.path, self.keys = output / f"{name}.jsonl", keys
        self._part = output / f"{name}.{part}.jsonl"
        self._parts = f"{name}.*-of-*.jsonl"
        self._writing = Lock()
        self.rows = self._read(self._found())

    def get(self, *key: str) -> Row | None:
        """The row of a frame, or of a frame and its other columns."""
        return self.rows.get(key)

    def add(self, row: Row) -> None:
        """Write a row into this process's part."""
        with self._writing:
            append_jsonl(self._part, row)
            self.rows[self._key(row)] = row

    def join(self, order: Mapping[str, int]) -> list[Row]:
        """Put the rows of all parts into one file, sorted by frame, and return them; no other process may be at work.

        Args:
            order: place of each frame id; frames that are not in it come last.
        """
        parts = self._found()
        self.rows = self._read(parts)
        ordered = sorted(self.rows.items(), key=lambda item: (order.get(item[0][0], len(order)), item[0]))
        rows = [row for _, row in ordered]
        if rows and (not self.path.is_file() or read_jsonl(self.path) != rows):
            write_jsonl(self.path, rows)
        for part in parts:
            part.unlink()
        return rows

    def _read(self, parts: Sequence[Path]) -> dict[tuple[str, ...], Row]:
        files = [path for path in (self.path, *parts) if path.is_file()]
        return {self._key(row): row for path in files for row in read_jsonl(path)}

    def _found(self) -> list[Path]:
        return sorted(self.path.parent.glob(self._parts))

    def _key(self, row: Row) -> tuple[str, ...]:
        return tuple(str(row.get(key)) for key in self.keys)
