"""What a folder of translated frames holds, and from what each of them was made."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ude.data.translated import quarantine_path
from ude.files import DataError, MissingFileError, clean_temporary, read_json, safe_path, sha256, write_json

from .rows import Row, SharedRows
from .shards import Shard

ACCEPTED, REJECTED = "accepted", "rejected"


class Manifest:
    """The record of a folder: its config, and a row per caption, control picture and image.

    `translation.json` holds the config, `captions.jsonl`, `control.jsonl` and `manifest.jsonl` the rows. A row is
    written after its file is in place, so a file without a row is unfinished.

    Args:
        output: folder of the translated frames; made where it is missing.
        config_hash: hash of everything that all images depend on besides the frames.
        conditions: hash of what the images of a condition depend on besides, by its name; others may come later.
        shard: which part of the frames this process works on.

    Attributes:
        captions: a row per frame.
        controls: a row per frame.
        images: a row per frame and condition.

    Raises:
        DataError: the folder was written with another config.
    """

    def __init__(
        self,
        output: str | Path,
        *,
        config_hash: str,
        conditions: Mapping[str, str] | None = None,
        shard: Shard | None = None,
    ) -> None:
        self.output, self.config_hash, self.conditions = Path(output), config_hash, dict(conditions or {})
        self._stamp, self._claimed = self.output / "translation.json", False
        part = str(shard or Shard())
        self._refuse_another_config()
        clean_temporary(self.output)
        self.captions = SharedRows(self.output, "captions", part=part)
        self.controls = SharedRows(self.output, "control", part=part)
        self.images = SharedRows(self.output, "manifest", part=part, keys=("frame_id", "condition"))

    def path(self, frame_id: str, condition: str, verdict: str = ACCEPTED) -> Path:
        """File of a translated frame, in quarantine if it was rejected."""
        if verdict == REJECTED:
            return quarantine_path(self.output, frame_id, condition, to_write=True)
        return safe_path(self.output, f"{condition}/{frame_id}.jpg", to_write=True)

    def control_path(self, frame_id: str) -> Path:
        """File of a frame's control picture."""
        return safe_path(self.output, f"control/{frame_id}.png", to_write=True)

    def caption(self, frame_id: str, *, source_sha256: str) -> str | None:
        """Caption of a frame, None where it is unknown or was made from another picture."""
        row = self.captions.get(frame_id)
        return row["caption"] if row is not None and row.get("source_sha256") == source_sha256 else None

    def has_control(self, frame_id: str, *, source_sha256: str) -> bool:
        """Whether a frame's control picture is there, undamaged, and was made from this source."""
        row = self.controls.get(frame_id)
        return (
            row is not None
            and row.get("source_sha256") == source_sha256
            and _undamaged(self.control_path(frame_id), row.get("control_sha256"))
        )

    def finished(self, frame_id: str, condition: str, *, source_sha256: str) -> Row | None:
        """The row of an image that is there, undamaged, and was made from this source with this config; else None."""
        row = self.images.get(frame_id, condition)
        if row is None or (row.get("source_sha256"), row.get("config_hash")) != (source_sha256, self.config_hash):
            return None
        path = self.path(frame_id, condition, row.get("verdict", ACCEPTED))
        return row if _undamaged(path, row.get("result_sha256")) else None

    def add_caption(self, row: Row) -> None:
        """Add the row of a caption."""
        self.claim()
        self.captions.add(row)

    def add_control(self, row: Row) -> None:
        """Add the row of a control picture that is in place."""
        self.claim()
        self.controls.add(row)

    def record(self, row: dict[str, Any]) -> None:
        """Add the row of an image that is in place; its hash and the config's are filled in."""
        path = self.path(row["frame_id"], row["condition"], row["verdict"])
        self.claim()
        self.images.add({**row, "result_sha256": sha256(path), "config_hash": self.config_hash})

    def join(self, order: Mapping[str, int]) -> Sequence[Row]:
        """Put the rows of all shards in order and return those of the images; no other shard may be at work.

        Args:
            order: place of each frame id.
        """
        self.captions.join(order)
        self.controls.join(order)
        return self.images.join(order)

    def claim(self) -> None:
        """Mark the folder as this config's; called before anything is recorded, and not when weights are missing.

        Raises:
            DataError: another process has marked it in the meantime, for another config.
        """
        if not self._claimed:
            known = self._refuse_another_config()
            if known is None or self.conditions.keys() - known.keys():
                conditions = {**(known or {}), **self.conditions}
                content = {"config_hash": self.config_hash, "conditions": dict(sorted(conditions.items()))}
                write_json(self._stamp, content)
            self._claimed = True

    def _refuse_another_config(self) -> dict[str, str] | None:
        """The hashes of the conditions that the folder holds; None for a folder that is not marked."""
        if not self._stamp.is_file():
            return None
        content = read_json(self._stamp)
        content = content if isinstance(content, dict) else {}
        remedy = "choose another output folder, or remove this one to translate anew"
        if content.get("config_hash") != self.config_hash:
            found = f"config {content.get('config_hash')}, not {self.config_hash}"
            raise DataError(f"{self.output} holds frames translated with {found}; {remedy}")
        known = content.get("conditions", {})
        for name, digest in self.conditions.items():
            if known.get(name, digest) != digest:
                what = f"other phrases, limits or references of {name!r}"
                raise DataError(f"{self.output} holds frames translated with {what}; {remedy}")
        return known


def _undamaged(path: Path, digest: str | None) -> bool:
    try:
        return digest is not None and sha256(path) == digest
    except MissingFileError:
        return False
