"""Small data in the forms of public data sets and of folders of one's own, whose numbers are known."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 160)
"""(height, width) of the images, but for Cityscapes."""
K_KITTI = np.array([[120.0, 0, 79.25], [0, 121.0, 22.5], [0, 0, 1]])
BASELINE = {"02": 0.06, "03": -0.47}
"""Shift of the cameras against camera 0 [m]: x of camera = x of camera 0 + this."""
STEP = 1.25
"""Metres between two frames of the made KITTI drive, northwards."""
WALL = 12.0
"""Distance of a wall from the made velodyne [m]."""
T_LIDAR_CAMERA = np.array([0.27, 0.0, -0.08])
"""Where camera 0 is in the velodyne's frame [m]."""


def picture(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A smooth picture that tells one seed from another, uint8 (H, W, 3)."""
    v, u = np.mgrid[: size[0], : size[1]]
    channels = [128 + 90 * np.sin(u / (9 + 3 * c) + 0.7 * seed) * np.cos(v / (7 + c) + 1.3 * seed) for c in range(3)]
    return np.stack(channels, 2).astype(np.uint8)


def write_picture(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, size)).save(path, **({} if path.suffix == ".png" else {"quality": 95}))


def write_png16(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint16)).save(path)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_kitti(root: Path, *, frames: int = 6, oxts: bool = True, cameras: tuple[str, ...] = ("02", "03")) -> Path:
    """One drive northwards past nothing, towards a wall that moves along."""
    date, drive = root / "2011_09_26", "2011_09_26_drive_0001_sync"
    lines = ["calib_time: 09-Jan-2012 13:57:47", "R_rect_00: 1 0 0 0 1 0 0 0 1"]
    for camera in cameras:
        P = np.hstack([K_KITTI, K_KITTI @ [[BASELINE[camera]], [0], [0]]])
        lines += [f"S_rect_{camera}: {SIZE[1]:e} {SIZE[0]:e}", f"P_rect_{camera}: {numbers(P)}"]
    write_text(date / "calib_cam_to_cam.txt", "\n".join(lines) + "\n")
    R = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera x = -left, y = -up, z = forward
    write_text(date / "calib_velo_to_cam.txt", f"R: {numbers(R)}\nT: {numbers(-R @ T_LIDAR_CAMERA)}\n")
    write_text(date / "calib_imu_to_velo.txt", f"R: {numbers(np.eye(3))}\nT: -0.8 0.3 -0.8\n")
    for number in range(frames):
        name = f"{number:010d}"
        for camera in cameras:
            write_picture(date / drive / f"image_{camera}" / "data" / f"{name}.png", number + 50 * int(camera))
        points = wall_points(number)
        path = date / drive / "velodyne_points" / "data" / f"{name}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.column_stack([points, np.ones(len(points))]).astype(np.float32).tofile(path)
        if oxts:
            write_text(date / drive / "oxts" / "data" / f"{name}.txt", oxts_line(number) + "\n")
    return root


def wall_points(number: int) -> np.ndarray:
    """Points on a wall across the road and behind the car, in the velodyne's frame [m], (N, 3)."""
    y, z = np.meshgrid(np.linspace(-9, 9, 60), np.linspace(-2, 1, 12))
    front = np.column_stack([np.full(y.size, WALL + number), y.ravel(), z.ravel()])
    return np.concatenate([front, front * [-1, 1, 1]])


def oxts_line(number: int) -> str:
    """A car that drives north (yaw 90 degrees) at 12.5 m/s, 10 times a second; at frame 0 it stands."""
    latitude = 49.0 + np.degrees(STEP * number / 6378137.0)
    speed = 12.5 if number else 0.0
    values = [latitude, 8.4, 112.0, 0.0, 0.0, np.pi / 2, speed, 0, speed, 0, 0, *[0.0] * 19]
    return " ".join(f"{value:.15g}" for value in values)


def numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.12e}" for value in np.asarray(values).ravel())


K_STEREO = np.array([[130.0, 0, 80.5], [0, 130.0, 24.0], [0, 0, 1]])


def write_drivingstereo(root: Path, *, frames: int = 4) -> Path:
    """Two sequences for training, one for testing, and the foggy weather subset at full size."""
    places = {
        "2018-07-09-16-11-56": ("train-left-image/2018-07-09-16-11-56", "train-depth-map/2018-07-09-16-11-56", ".jpg"),
        "2018-07-10-09-54-03": ("train-left-image/2018-07-10-09-54-03", "train-depth-map/2018-07-10-09-54-03", ".jpg"),
        "2018-07-11-14-48-52": (
            "test-left-image/left-image-half-size",
            "test-depth-map/depth-map-half-size",
            ".jpg",
        ),
        "2018-10-25-07-37-26": ("foggy/left-image-full-size", "foggy/depth-map-full-size", ".png"),
    }
    for seed, (sequence, (images, depths, suffix)) in enumerate(places.items()):
        size = tuple(2 * side for side in SIZE) if "full" in images else SIZE
        scale = size[0] // SIZE[0]
        for number in range(frames):
            name = f"{sequence}_{sequence[:-3]}-{int(sequence[-2:]) + number // 5:02d}-{200 * (number % 5):03d}"
            write_picture(root / images / (name + suffix), 10 * seed + number, size)
            write_png16(root / depths / f"{name}.png", depth_steps(size, number))
        kind = "full" if scale == 2 else "half"
        P = np.hstack([np.diag([scale, scale, 1]) @ K_STEREO, np.zeros((3, 1))])
        text = f"S_rect_101: {size[1]} {size[0]}\nP_rect_101: {numbers(P)}\n"
        write_text(root / "calib" / f"{kind}-image-calib" / f"{sequence}.txt", text)
    return root


def depth_steps(size: tuple[int, int], number: int) -> np.ndarray:
    """256 times a depth of 5, 6, ... metres in every eighth column and 0 elsewhere, (H, W)."""
    pixels = np.zeros(size)
    pixels[:, ::8] = 256 * (5 + number + np.arange(len(pixels[0, ::8])))
    return pixels


def write_cityscapes(root: Path, *, frames: int = 4) -> Path:
    """Snippets of two recordings for training, one of them with a gap, and one frame for validation."""
    snippets = [("train", "aachen", 0, 17), ("train", "hamburg", 0, 17), ("train", "hamburg", 0, 117)]
    snippets.append(("val", "lindau", 3, 17))
    for seed, (split, city, recording, first) in enumerate(snippets):
        for number in range(first, first + frames):
            name = f"{city}_{recording:06d}_{number:06d}"
            image = root / "leftImg8bit_sequence" / split / city / f"{name}_leftImg8bit.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((1024, 2048, 3), (40 * seed + 5 * (number - first) + 10) % 256, np.uint8)
            pixels[: 10 * (seed + 1)] = 0
            Image.fromarray(pixels).save(image, compress_level=1)
            vehicle = root / "vehicle_sequence" / split / city / f"{name}_vehicle.json"
            write_text(vehicle, json.dumps({"speed": 10.2, "yawRate": 0.0}))
        camera = {"intrinsic": {"fx": 2262.5 + seed, "fy": 2265.3, "u0": 1096.98, "v0": 513.137}}
        camera["extrinsic"] = {"baseline": 0.209313, "x": 1.7, "y": 0.1, "z": 1.22}
        annotated = f"{city}_{recording:06d}_{first + 2:06d}"
        write_text(root / "camera" / split / city / f"{annotated}_camera.json", json.dumps(camera))
        disparity = np.zeros((1024, 2048))
        disparity[100:110, 200:210] = 1 + 256 * 20  # 20 pixels
        disparity[0, 0] = 1  # infinitely far
        for number in range(first, first + frames):
            name = f"{city}_{recording:06d}_{number:06d}"
            of = "" if name == annotated else "_sequence"
            write_png16(root / f"disparity{of}" / split / city / f"{name}_disparity.png", disparity)
    return root


BOOSTER_BASELINE = 0.08
"""Distance of the cameras [m]."""


def write_booster(root: Path, *, size: tuple[int, int] = SIZE) -> Path:
    """Two scenes in two and three kinds of light, four times as large as ``size``: 2 m away, and 4 m below the middle.

    Their materials are 0 to 3 from left to right in the first scene, and 0 and 1 in the second. Every pixel but the
    first of each block of 4 x 4 has a disparity and a material that no frame may have.
    """
    whole = (4 * size[0], 4 * size[1])
    K = np.diag([4.0, 4.0, 1.0]) @ K_STEREO
    for seed, (scene, materials) in enumerate({"Glass": 4, "Wood": 2}.items()):
        folder = root / "train" / "balanced" / scene
        for number in range(2 + seed):
            write_picture(folder / "camera_00" / f"im{number}.png", 10 * seed + number, whole)
        depth = np.where(np.arange(size[0]) < size[0] // 2, 2.0, 4.0)[:, None]
        disparity = np.full(whole, 1e4, np.float32)
        disparity[::4, ::4] = K[0, 0] * BOOSTER_BASELINE / depth
        disparity[0, :8] = 0, 1, 2, 3, np.inf, 1, 2, 3  # no depth in the first two pixels of a frame
        np.save(folder / "disp_00.npy", disparity)
        mask = np.full(whole, 9, np.uint8)
        mask[::4, ::4] = np.arange(size[1]) * materials // size[1]
        Image.fromarray(mask).save(folder / "mask_cat.png")
        projection = numbers(np.hstack([K, np.zeros((3, 1))]))
        write_text(
            folder / "calib_00-02.xml",
            '<?xml version="1.0"?>\n<opencv_storage>\n<proj_matL type_id="opencv-matrix">\n  <rows>3</rows>\n'
            f"  <cols>4</cols>\n  <dt>d</dt>\n  <data>\n    {projection}</data></proj_matL>\n"
            f"<baselineLR>{1000 * BOOSTER_BASELINE}</baselineLR>\n</opencv_storage>\n",
        )
    return root


def write_cleargrasp(root: Path, *, frames: int = 2) -> Path:
    """Two cameras of the first part and one of the second: 0.5 m away, an object in the middle 0.25 m nearer."""
    for seed, place in enumerate(("real-val/d415", "real-val/d435", "real-test/d435")):
        folder = root / place
        for number in range(frames):
            write_picture(folder / f"{number:09d}-transparent-rgb-img.jpg", 10 * seed + number)
            write_picture(folder / f"{number:09d}-opaque-rgb-img.jpg", 10 * seed + number + 5)
            inside = np.zeros(SIZE, bool)
            inside[16:32, 60 : 100 + number] = True
            Image.fromarray(255 * inside.astype(np.uint8)).save(folder / f"{number:09d}-mask.png")
            depth = np.where(inside, 0.25, 0.5).astype(np.float32)
            depth[0, :3] = 0, np.nan, np.inf
            write_exr(folder / f"{number:09d}-opaque-depth-img.exr", np.stack([depth] * 3, 2))
        write_text(
            folder / "camera_intrinsics.yaml", "camera_name: D\nxres: 160\nyres: 48\nfx: 115\nfy: 115\ncx: 80\ncy: 24\n"
        )
    return root


def write_exr(path: Path, pixels: np.ndarray) -> None:
    """An OpenEXR file of float32 (H, W) or (H, W, 3) in the order B, G, R."""
    import os

    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_EXR_TYPE, cv2.IMWRITE_EXR_TYPE_HALF])


K_OWN = {"K": [[100.0, 0.0, 79.5], [0.0, 100.0, 23.5], [0.0, 0.0, 1.0]], "size": [48, 160]}


def write_own_images(root: Path, *, frames: int = 5, **content: object) -> Path:
    """A sequence by day, one at night with depth, and ``intrinsics.json``."""
    for seed, name in enumerate(("drive-2", "drive-10")):
        for number in range(frames):
            write_picture(root / name / f"frame{number + 8}.jpg", 20 * seed + number)
    for number in range(frames):
        write_png16(root / "depth" / "drive-10" / f"frame{number + 8}.png", depth_steps(SIZE, number))
    description = {
        **K_OWN,
        "sequences": {"drive-10": {"condition": "night-clear"}},
        "splits": {"train": ["drive-2"], "val": ["drive-10"]},
        **content,
    }
    write_text(root / "intrinsics.json", json.dumps(description))
    return root


def write_video(path: Path, *, frames: int = 12, fps: float = 12.0, size: tuple[int, int] = (96, 160)) -> Path:
    """Frames of one grey level each, 20 x number + 5; Motion JPEG in avi and mkv, MPEG-4 in mp4."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.VideoWriter_fourcc(*("MJPG" if path.suffix in (".avi", ".mkv") else "mp4v"))
    writer = cv2.VideoWriter(str(path), code, fps, size[::-1])
    for number in range(frames):
        writer.write(np.full((*size, 3), (20 * number + 5) % 256, np.uint8))
    writer.release()
    return path
