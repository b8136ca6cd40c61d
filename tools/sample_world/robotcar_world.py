"""Writes a rendered world to disk as Oxford RobotCar, which the data set's unmodified SDK reads."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .line_scanner import LineScanner
from .raycast import SKY, g_buffer
from .renderer import Renderer
from .robotcar_calibration import (
    EXTRINSICS,
    T_VEHICLE_CAMERA,
    bayer_mosaic,
    model_text,
    pose_matrix,
    stereo_camera,
    undistortion_table,
)
from .robotcar_options import TRAVERSES, RobotCarOptions, Traversal, timestamp
from .robotcar_tables import write_tables
from .workers import run_jobs
from .world_folder import WorldError, building, finished, write_image

OVER_EXPOSURE = 20.0  # factor on the right exposure
DEPTH_STEPS = 256  # of the depth pictures per metre
FRAMES_PER_JOB, SCANS_PER_JOB = 4, 50

__all__ = ["RobotCarOptions", "WorldError", "write_robotcar"]


def write_robotcar(output: Path, options: RobotCarOptions, *, progress: bool = True) -> None:
    """Render one drive by day and at night and write it, unless the folder already holds the same world.

    The world is built in a temporary folder beside `output`, which takes its place when all is done.

    Args:
        output: folder of the data set; it gets the SDK's `models` and `extrinsics`, and one folder per traverse.
        options: what to render.
        progress: whether to show a progress bar.

    Raises:
        WorldError: `output` holds something else.
    """
    output = Path(output)
    if finished(output, options.identity()):
        return
    with building(output, options.identity()) as root:
        _write_calibration(root, options)
        traversal = Traversal(options)
        for traverse in TRAVERSES:
            for folder in ("stereo/left", "lms_front", *(["dense_depth"] if options.dense_depth else [])):
                (root / traverse / folder).mkdir(parents=True)
            write_tables(root / traverse, traverse, traversal)
        scans, frames = len(traversal.scan_times), options.frames
        jobs = [
            (options, root, "frames", at, min(at + FRAMES_PER_JOB, frames)) for at in range(0, frames, FRAMES_PER_JOB)
        ]
        jobs += [(options, root, "scans", at, min(at + SCANS_PER_JOB, scans)) for at in range(0, scans, SCANS_PER_JOB)]
        with tqdm(total=frames, unit="frame", desc="sample world", disable=not progress) as bar:
            for (_, _, kind, start, end), _ in run_jobs(_write_part, jobs, workers=options.workers):
                bar.update(end - start if kind == "frames" else 0)


class _Scene:
    """What the jobs of one world share: the drive, its renderer and its scanner."""

    def __init__(self, options: RobotCarOptions):
        self.options, self.traversal = options, Traversal(options)
        self.camera = stereo_camera(options.size)
        self.renderer = Renderer(self.traversal.street, self.camera)
        self.scanner = LineScanner(options.range_noise)

    def write_frame(self, root: Path, number: int) -> None:
        """Write one picture, and its exact depth, of all traverses."""
        time, street = float(self.traversal.frame_times[number]), self.traversal.street
        T_world_camera = self.traversal.T_world_vehicle(time) @ T_VEHICLE_CAMERA
        generators = {condition: self._generator(condition, 1, number) for condition in TRAVERSES.values()}
        over_exposed = number in self.traversal.over_exposed_frames
        exposures = {"day-clear": OVER_EXPOSURE} if over_exposed else {}
        pictures = self.renderer.frames(T_world_camera, time, generators, exposures)
        for traverse, condition in TRAVERSES.items():
            name = f"{timestamp(traverse, time)}.png"
            write_image(root / traverse / "stereo" / "left" / name, bayer_mosaic(pictures[condition]))
        if self.options.dense_depth:
            seen = g_buffer(self.camera.pinhole, T_world_camera, street.at(time))
            steps = np.where(seen.solid == SKY, 0, np.clip(seen.depth * DEPTH_STEPS + 0.5, 0, 65535)).astype(np.uint16)
            for traverse in TRAVERSES:
                write_image(root / traverse / "dense_depth" / f"{timestamp(traverse, time)}.png", steps)

    def write_scan(self, root: Path, number: int) -> None:
        """Write one scan of all traverses."""
        time = float(self.traversal.scan_times[number])
        T_world_scanner = self.traversal.T_world_vehicle(time) @ pose_matrix(EXTRINSICS["lms_front"])
        ranges = self.scanner.ranges(T_world_scanner, self.traversal.street.at(time))
        for traverse, condition in TRAVERSES.items():
            returns = self.scanner.returns(ranges, self._generator(condition, 2, number))
            path = root / traverse / "lms_front" / f"{timestamp(traverse, time)}.bin"
            path.write_bytes(returns.astype("<f8").tobytes())

    def _generator(self, condition: str, stream: int, number: int) -> np.random.Generator:
        """Source of noise and loss in one recording: it depends on nothing that was rendered before."""
        return np.random.default_rng((self.options.seed, list(TRAVERSES.values()).index(condition), stream, number))


@lru_cache(maxsize=1)  # every process works on one world
def _scene(options: RobotCarOptions) -> _Scene:
    return _Scene(options)


def _write_part(options: RobotCarOptions, root: Path, kind: str, start: int, end: int) -> None:
    """Write some frames or scans of all traverses."""
    scene = _scene(options)
    for number in range(start, end):
        if kind == "frames":
            scene.write_frame(root, number)
        else:
            scene.write_scan(root, number)


def _write_calibration(root: Path, options: RobotCarOptions) -> None:
    camera = stereo_camera(options.size)
    for folder in ("models", "extrinsics"):
        (root / folder).mkdir()
    (root / "models" / "stereo_wide_left.txt").write_text(model_text(camera))
    table = undistortion_table(camera).astype("<f8")
    (root / "models" / "stereo_wide_left_distortion_lut.bin").write_bytes(table.tobytes())
    for name, components in EXTRINSICS.items():
        (root / "extrinsics" / f"{name}.txt").write_text(" ".join(f"{value:g}" for value in components) + "\n")
