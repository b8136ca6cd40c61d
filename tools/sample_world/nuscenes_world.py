"""Writes a rendered world to disk as nuScenes v1.0, which the unmodified nuscenes-devkit loads."""

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .lidar import Scanner
from .nuscenes_tables import CAMERA, LIDAR, MAP_FILE, SCANNER_DELAY, SceneTables, Tables, picture_times, write_tables
from .options import Recording, WorldOptions, recordings
from .renderer import CONDITIONS, Renderer
from .workers import run_jobs
from .world_folder import WorldError, building, finished, write_image

JPEG_QUALITY = 92

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
    if finished(output, options.identity()):
        return
    drives = recordings(options)
    with building(output, options.identity()) as root:
        for folder in ("samples/CAM_FRONT", "sweeps/CAM_FRONT", "samples/LIDAR_TOP", "maps"):
            (root / folder).mkdir(parents=True)
        write_image(root / MAP_FILE, np.full((64, 64), 255, np.uint8))
        parts: dict[int, list[Tables]] = {}
        pictures = sum(drive.num_pictures for drive in drives)
        with tqdm(total=pictures, unit="picture", desc="sample world", disable=not progress) as bar:
            jobs = [(drive, options, root) for drive in drives]
            for (drive, *_), tables in run_jobs(_render, jobs, workers=options.workers):
                parts[drive.number] = tables
                bar.update(drive.num_pictures)
        write_tables(root, [tables for number in sorted(parts) for tables in parts[number]])


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
            write_image(root / name, picture, cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
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
