"""What a folder of translated frames holds, and from what each of them was made."""

from pathlib import Path
from typing import Any

from ude.files import (
    DataError,
    append_jsonl,
    clean_temporary,
    read_json,
    read_jsonl,
    safe_path,
    sha256,
    write_json,
)


class Manifest:
    """The record of a folder: `translation.json` (its config), `manifest.jsonl` (a row per image), `failed.jsonl`.

    A row is written after its image is in place, so an image without a row is unfinished. `failed.jsonl` is of the
    latest run alone.

    Args:
        output: folder of the translated frames; made where it is missing.
        config_hash: hash of everything that the images depend on besides the frames.

    Raises:
        DataError: the folder was written with another config.
    """

    def __init__(self, output: str | Path, *, config_hash: str) -> None:
        self.output, self.config_hash = Path(output), config_hash
        self._claim()
        clean_temporary(self.output)
        self._failed.unlink(missing_ok=True)
        rows = read_jsonl(self._rows) if self._rows.is_file() else []
        self.rows = {(row.get("frame_id"), row.get("condition")): row for row in rows}  # the latest row counts

    def path(self, frame_id: str, condition: str) -> Path:
        """File of a translated frame."""
        return safe_path(self.output, f"{condition}/{frame_id}.jpg", to_write=True)

    def finished(self, frame_id: str, condition: str, *, source_sha256: str) -> bool:
        """Whether the translated frame is there, undamaged, and was made from this source with this config."""
        row, path = self.rows.get((frame_id, condition)), self.path(frame_id, condition)
        if row is None or not path.is_file():
            return False
        made_from = (row.get("source_sha256"), row.get("config_hash"))
        return made_from == (source_sha256, self.config_hash) and row.get("result_sha256") == sha256(path)

    def record(self, row: dict[str, Any]) -> None:
        """Add the row of an image that is in place; its hash and the config's are filled in."""
        path = self.path(row["frame_id"], row["condition"])
        row = {**row, "result_sha256": sha256(path), "config_hash": self.config_hash}
        append_jsonl(self._rows, row)
        self.rows[row["frame_id"], row["condition"]] = row

    def refuse(self, frame_id: str, condition: str, *, seed: int, reason: str) -> None:
        """Note an image that was not written, and remove an older one that no longer fits its source."""
        self.path(frame_id, condition).unlink(missing_ok=True)
        append_jsonl(self._failed, {"frame_id": frame_id, "condition": condition, "seed": seed, "reason": reason})

    @property
    def _rows(self) -> Path:
        return self.output / "manifest.jsonl"

    @property
    def _failed(self) -> Path:
        return self.output / "failed.jsonl"

    def _claim(self) -> None:
        """Refuse the folder of another config, mark a new one."""
        path = self.output / "translation.json"
        if not path.is_file():
            write_json(path, {"config_hash": self.config_hash})
            return
        content = read_json(path)
        found = content.get("config_hash") if isinstance(content, dict) else None
        if found != self.config_hash:
            raise DataError(
                f"{self.output} holds frames translated with config {found}, not {self.config_hash}; "
                "choose another output folder, or remove this one to translate anew"
            )
