"""Writes a rendered world to disk as nuScenes v1.0, which the unmodified nuscenes-devkit loads."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .lidar import Scanner
from .nuscenes_tables import CAMERA, LIDAR, MAP_FILE, SCANNER_DELAY, SceneTables, Tables, picture_times, write_tables
from .options import Recording, WorldError, WorldOptions, recordings
from .renderer import CONDITIONS, Renderer

JPEG_QUALITY = 92
OPTIONS_FILE = "world.json"

__all__ = ["WorldError", "WorldOptions", "frame_generator", "write_nuscenes"]


def write_nuscenes(output: Path, options: WorldOptions, *, progress: bool = True) -> None:
    """Render a world and write it, unless the folder already holds the same one.

    The world is built in a temporary folder beside `output`, which takes its place when all is done.

    Args:
        output: folder of the data set.
        options: what to render.
        progress: whether to show a progress bar.

    Raises:
        WorldError: `output` holds something else.
        ValueError: more scenes than the official split lists have names.
    """
    output = Path(output)
    if _finished(output, options):
        return
    drives = recordings(options)
    building = output.resolve().with_name(f".tmp-{output.resolve().name}")
    shutil.rmtree(building, ignore_errors=True)  # left behind by a killed process
    try:
        for folder in ("samples/CAM_FRONT", "sweeps/CAM_FRONT", "samples/LIDAR_TOP", "maps"):
            (building / folder).mkdir(parents=True)
        _write_png(building / MAP_FILE, np.full((64, 64), 255, np.uint8))
        parts: dict[int, list[Tables]] = {}
        pictures = sum(drive.num_pictures for drive in drives)
        with tqdm(total=pictures, unit="picture", desc="sample world", disable=not progress) as bar:
            for drive, tables in _render_all(drives, options, building):
                parts[drive.number] = tables
                bar.update(drive.num_pictures)
        write_tables(building, [tables for number in sorted(parts) for tables in parts[number]])
        (building / OPTIONS_FILE).write_text(json.dumps(options.identity(), indent=2) + "\n")
        if output.exists():
            output.rmdir()
        os.replace(building, output.resolve())
    finally:
        shutil.rmtree(building, ignore_errors=True)


def frame_generator(recording: Recording, condition: str, time: float, sensor: str) -> np.random.Generator:
    """Source of rain, noise and loss in one recording: it depends on nothing that was rendered before.

    Args:
        recording: the drive.
        condition: one of the four conditions.
        time: when [s].
        sensor: CAM_FRONT or LIDAR_TOP.
    """
    stream = 2 * CONDITIONS.index(condition) + (1 if sensor == CAMERA else 2)
    return np.random.default_rng((*recording.seed, stream, round(time * 1000)))


def _finished(output: Path, options: WorldOptions) -> bool:
    """Whether the folder holds this very world; an error if it holds anything else."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    try:
        found = json.loads((output / OPTIONS_FILE).read_text())
    except (OSError, ValueError):
        raise WorldError(f"{output} is no sample world; choose another folder") from None
    wanted = options.identity()
    differences = [
        f"{name} {found.get(name)}, not {value}" for name, value in wanted.items() if found.get(name) != value
    ]
    if differences:
        raise WorldError(f"{output} holds another sample world ({'; '.join(differences)}); choose another folder")
    return True


def _render_all(drives: list[Recording], options: WorldOptions, root: Path) -> Iterator[tuple[Recording, list[Tables]]]:
    """Render all drives, each with the rows of its scenes, in the order in which they are done."""
    if options.workers == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(0)
        try:
            for drive in drives:
                yield drive, _render(drive, options, root)
        finally:
            cv2.setNumThreads(threads)
        return
    context = multiprocessing.get_context("spawn")  # a forked process hangs in OpenCV's threads
    workers = min(options.workers, max(len(drives), 1))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(0,)) as pool:
        jobs = {pool.submit(_render, drive, options, root): drive for drive in drives}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _render(recording: Recording, options: WorldOptions, root: Path) -> list[Tables]:
    """Write all pictures and sweeps of one drive in all its conditions."""
    camera, street = recording.vehicle.camera(options.size), recording.street()
    renderer, scanner = Renderer(street, camera), Scanner(options.lidar_azimuth, options.range_noise)
    scenes = {condition: SceneTables(recording, condition, camera) for condition in recording.scenes}
    for time, sample, key_frame in picture_times(recording):
        T_world_ego = street.ego_pose(time)
        generators = {condition: frame_generator(recording, condition, time, CAMERA) for condition in scenes}
        pictures = renderer.frames(T_world_ego @ recording.vehicle.T_ego_camera, time, generators)
        for condition, picture in pictures.items():
            name = scenes[condition].add(CAMERA, time, T_world_ego, sample=sample, key_frame=key_frame)
            _write_jpeg(root / name, picture)
        if key_frame:
            _scan(scanner, recording, scenes, renderer, root, time + SCANNER_DELAY, sample)
    return [scene.tables() for scene in scenes.values()]


def _scan(
    scanner: Scanner,
    recording: Recording,
    scenes: dict[str, SceneTables],
    renderer: Renderer,
    root: Path,
    time: float,
    sample: int,
) -> None:
    """Write one LiDAR sweep in all conditions."""
    T_world_ego = renderer.street.ego_pose(time)
    sweep = scanner.sweep(T_world_ego @ recording.vehicle.T_ego_lidar, renderer.street.at(time))
    for condition, scene in scenes.items():
        rng = frame_generator(recording, condition, time, LIDAR)
        name = scene.add(LIDAR, time, T_world_ego, sample=sample, key_frame=True)
        returns = scanner.returns(sweep, rng, rain=condition.endswith("rain"))
        (root / name).write_bytes(returns.astype("<f4").tobytes())


def _write_jpeg(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture; OpenCV only encodes it, since its own writer hides a full disk."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(data.tobytes())


def _write_png(path: Path, image: np.ndarray) -> None:
    _, data = cv2.imencode(".png", image)
    path.write_bytes(data.tobytes())
