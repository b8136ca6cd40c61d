"""Preparing raw RobotCar traverses: in parallel, resumed after any end, and never in the folder of the raw data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ude.files import DataError, clean_temporary, lock_folder, read_json, write_json, write_jsonl

from .calibration import Calibration, read_calibration
from .columns import FRAMES, write_columns
from .frames import Preparation
from .outcome import Outcome
from .parallel import consecutive_parts, made_frames
from .prepared import ABOUT, SCHEMA, filter_reasons
from .progress import PROGRESS, finished, inputs_of, note, without_lidar
from .recording import Recording, find_traverses, open_recording, traverse_condition
from .trajectory import read_motions, require_poses
from .undistortion import Undistortion, read_mosaic

WAY = "preparation.json"
"""File of the output folder that says how all its frames were made."""


def prepare(
    raw: Path,
    output: Path,
    preparation: Preparation,
    *,
    sdk: str | Path = "",
    traverses: Sequence[str] = (),
    conditions: Mapping[str, str] | None = None,
    workers: int = 1,
    limit: int | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Prepares raw traverses for ``RobotCarFrames`` and returns what each ``traverse.json`` says.

    What an earlier call has finished stays. Images and scans that are missing or damaged are left out and counted, the
    damaged ones named. A traverse that cannot be prepared does not stop the others.

    Args:
        raw: folder of the raw traverses; it is only read.
        output: folder to write.
        preparation: how; one way for the whole folder.
        sdk: folder of the RobotCar SDK; "" searches, see ``read_calibration``.
        traverses: names of the traverses; empty for all.
        conditions: recording condition by traverse, where it is not known or wrong.
        workers: number of processes.
        limit: only the first images of each traverse; None for all.
        progress: show a bar.

    Raises:
        UnpreparedError: at the end, when some of several traverses could not be prepared.
        DataError: nothing can be prepared, the output folder is in use, unfit or was made another way.
    """
    _require_apart(raw, output)
    calibration = read_calibration(preparation.camera, sdk=sdk, raw=raw)
    conditions = conditions or {}
    folders = find_traverses(raw, [*traverses])
    outcome, recordings = Outcome(len(folders)), []
    for folder in folders:
        with outcome.noting(folder.name):
            condition = conditions.get(folder.name) or traverse_condition(folder.name, sdk=sdk, raw=raw)
            require_poses(folder, preparation.poses)
            recordings.append(open_recording(folder, camera=preparation.camera, condition=condition))
    if not recordings:
        return outcome.result()
    with lock_folder(output):
        clean_temporary(output)
        _require_one_way(output, preparation, calibration)
        work = _Work(output, preparation, calibration, workers, limit, progress)
        for recording in recordings:
            with outcome.noting(recording.name):
                outcome.summaries.append(work.prepare(recording))
    return outcome.result()


@dataclass(frozen=True)
class _Work:
    """A call of ``prepare``, traverse by traverse."""

    output: Path
    preparation: Preparation
    calibration: Calibration
    workers: int
    limit: int | None
    progress: bool

    def prepare(self, recording: Recording) -> dict[str, Any]:
        """Prepares what is missing of a traverse, then writes its rows and what they have in common."""
        folder, inputs = self.output / recording.name, inputs_of(recording, self.preparation.poses)
        kept = finished(folder, recording, inputs)
        rows, damaged_scans = kept.rows, kept.damaged_scans
        listed = recording.image_times[: self.limit].tolist()
        present = {path.stem for path in recording.images.glob("*.png")}
        wanted = [time for time in listed if time not in rows and (time in kept.images or str(time) in present)]
        size = self._size(recording, folder, [time for time in listed if str(time) in present])
        damaged_images: list[str] = []
        parts = consecutive_parts(wanted, round(2e6 * self.preparation.margin), self.workers)
        frames = [{time: kept.images.get(time) for time in part} for part in parts]
        # here rather than in each process, whose errors would only say that it has ended
        motions = read_motions(recording.folder, self.preparation.poses)
        bar = tqdm(total=len(wanted), desc=recording.name, unit="frame", disable=not self.progress)
        arguments = (recording, self.calibration, self.preparation, motions, size, folder)
        with bar:
            for new, bad_images, bad_scans in made_frames(arguments, frames, self.workers):
                rows |= note(folder, new, bad_scans, inputs)
                damaged_images += bad_images
                damaged_scans |= set(bad_scans)
                bar.update(len(new) + len(bad_images))
        missing = sum(str(time) not in present and time not in rows for time in listed)
        left_out = {"image missing": missing, "image damaged": len(damaged_images)}
        about = {
            **self._about(recording, size),
            "inputs": asdict(inputs),
            "listed": len(listed),
            "left_out": left_out,
            "damaged_images": sorted(damaged_images),
            "damaged_scans": sorted(damaged_scans),
        }
        return _finish(folder, recording, rows, about)

    def _size(self, recording: Recording, folder: Path, times: Sequence[int]) -> tuple[int, int]:
        """(height, width) of a traverse's images [px], as noted or from the first whole one, where it is checked."""
        if (folder / ABOUT).is_file():
            return tuple(read_json(folder / ABOUT)["size"])
        refusal: DataError | None = None
        for time in times:
            try:
                size = read_mosaic(recording.image_path(time)).shape
            except DataError as error:
                refusal = refusal or error
                continue
            Undistortion(self.calibration.lookup, size)
            return size
        if refusal is not None:
            raise DataError(f"{recording.images}: none of {len(times)} images can be used; the first: {refusal}")
        raise DataError(
            f"{recording.images}: has none of the images that {recording.folder / 'stereo.timestamps'} lists; "
            "download this part of the traverse or choose others with --traverse"
        )

    def _about(self, recording: Recording, size: tuple[int, int]) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "traverse": recording.name,
            "condition": recording.condition,
            "size": list(size),
            "K": self.calibration.K.tolist(),
            "start": int(recording.image_times[0]),
            **asdict(self.preparation),
            "calibration_sha256": self.calibration.digest,
        }


def _finish(
    folder: Path, recording: Recording, rows: Mapping[int, dict[str, Any]], about: dict[str, Any]
) -> dict[str, Any]:
    """Writes the rows in order, with their filters, and what they have in common; returns the latter."""
    numbers = {time: number for number, time in enumerate(recording.image_times.tolist())}
    ordered = [{**rows[time], "number": numbers[time]} for time in sorted(rows) if time in numbers]
    reasons = filter_reasons(ordered)
    for row, filters in zip(ordered, reasons, strict=True):
        row["filters"] = filters
    about |= {
        "frames": len(ordered),
        "without_lidar": dict(sorted(without_lidar(ordered, recording, about["poses"]).items())),
        "without_odometry": sum(row["T_start_camera"] is None for row in ordered),
        "filtered": dict(sorted(Counter(reason for filters in reasons for reason in filters).items())),
    }
    write_jsonl(folder / FRAMES, ordered)
    write_columns(folder, ordered)
    write_json(folder / ABOUT, about)
    (folder / PROGRESS).unlink(missing_ok=True)
    return about


def _require_apart(raw: Path, output: Path) -> None:
    inside, outside = output.resolve(), raw.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise DataError(
            f"--output {output} and --raw {raw} overlap; raw data are never changed: choose another --output"
        )


def _require_one_way(output: Path, preparation: Preparation, calibration: Calibration) -> None:
    path = output / WAY
    way = {"schema": SCHEMA, **asdict(preparation), "calibration_sha256": calibration.digest}
    if not path.is_file():
        write_json(path, way)
        return
    known = read_json(path)
    if differing := [key for key in way if known.get(key) != way[key]]:
        key = differing[0]
        raise DataError(f"{path}: frames there have {key} {known.get(key)}, not {way[key]}; choose another --output")
