"""Air and water: haze, the mirror image in a wet road, falling streaks, and drops on the lens.

Images are (H, W, 3) float32 radiance from here on, as OpenCV wants them.
"""

import cv2
import numpy as np

SKY_DISTANCE = 400.0  # depth of the sky for haze [m]
AIR = {  # visibility [m] and colour of the air
    "day-clear": (900.0, (0.72, 0.78, 0.86)),
    "day-rain": (330.0, (0.40, 0.43, 0.46)),
    "night-clear": (800.0, (0.004, 0.0035, 0.003)),
    "night-rain": (300.0, (0.008, 0.007, 0.006)),
}
STREAKS = ((220, 9, 1, 0.05), (90, 20, 1, 0.09), (22, 46, 2, 0.10))  # number, length and width [px at 800], strength
REFERENCE_WIDTH = 800  # image width that sizes of blur and streaks refer to [px]


def hazy(image: np.ndarray, depth: np.ndarray, condition: str) -> np.ndarray:
    """An image seen through air.

    Args:
        image: radiance (H, W, 3).
        depth: z-depth (H, W) [m].
        condition: one of the four conditions.
    """
    visibility, air = AIR[condition]
    clear = np.exp(np.minimum(depth, SKY_DISTANCE) * np.float32(-1 / visibility))[..., None]
    return image * clear + np.array(air, np.float32) * (1 - clear)


def wet_road(
    image: np.ndarray, mirror: np.ndarray, top: int, steepness: np.ndarray, gloss: np.ndarray, puddle: np.ndarray
) -> np.ndarray:
    """An image with the street mirrored in the road: sharp in puddles, drawn out vertically elsewhere.

    Args:
        image: radiance (H, W, 3).
        mirror: what the road would show as a perfect mirror, at half size, rows from `top` on.
        top: first row of the mirror image, at half size.
        steepness: cosine between the view ray and the vertical (H, W).
        gloss: mirror strength of the ground (H, W), 0 elsewhere.
        puddle: share of standing water (H, W).
    """
    height, width = gloss.shape
    start = 2 * top
    below = np.s_[start:]
    size = (width, height - start)
    sharp = cv2.resize(cv2.GaussianBlur(mirror, (0, 0), 0.8), size, interpolation=cv2.INTER_LINEAR)
    drawn = cv2.GaussianBlur(mirror, (0, 0), sigmaX=2.0, sigmaY=11.0 * width / REFERENCE_WIDTH)
    drawn = cv2.resize(drawn, size, interpolation=cv2.INTER_LINEAR)
    water, shine = puddle[below], gloss[below]
    fresnel = 0.03 + 0.97 * (1 - np.clip(steepness[below], 0, 1)) ** 5
    share = (shine * np.clip(fresnel * (0.62 + 0.5 * water) + 0.03 + 0.05 * water, 0, 0.85))[..., None]
    reflection = drawn + water[..., None] * (sharp - drawn)
    wet = image.copy()
    wet[below] += share * (reflection - wet[below])
    return wet


def falling_rain(image: np.ndarray, rng: np.random.Generator, *, night: bool) -> np.ndarray:
    """An image behind streaks of falling drops, which show blurred light from behind them.

    Args:
        image: radiance (H, W, 3).
        rng: source of the streaks.
        night: whether only what shines behind them lights the drops.
    """
    height, width = image.shape[:2]
    scale = width / REFERENCE_WIDTH
    layer = np.zeros((height, width), np.float32)
    for number, length, thickness, strength in STREAKS:
        for _ in range(int(number * rng.uniform(0.6, 1.3))):
            x, y, stretch = rng.uniform(-20, width + 20), rng.uniform(-20, height), rng.uniform(0.6, 1.5)
            fall = length * scale * stretch
            drift = fall * (rng.normal(0, 0.06) + 0.12 * (x / width - 0.5))
            ends = [(int(8 * x), int(8 * y)), (int(8 * (x + drift)), int(8 * (y + fall)))]  # 3 bits of sub-pixels
            value = strength * rng.uniform(0.4, 1.2)
            cv2.line(layer, *ends, value, max(1, round(thickness * scale)), cv2.LINE_AA, 3)
    layer = cv2.GaussianBlur(layer, (0, 0), 0.6 * scale)[..., None]
    back = _blurred(image, 14 * scale)
    return image + layer * (1.5 * back + (0 if night else 0.25) - image)


def lens_drops(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image seen through a few drops on the lens, each a small blurred, upside-down picture of its own.

    Args:
        image: radiance (H, W, 3).
        rng: source of the drops.
    """
    height, width = image.shape[:2]
    scale = width / REFERENCE_WIDTH
    result = image.copy()
    soft = None
    for _ in range(int(rng.integers(3, 16))):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(4, 17) * scale
        x0, x1 = int(max(x - radius, 0)), int(min(x + radius + 1, width))
        y0, y1 = int(max(y - 1.2 * radius, 0)), int(min(y + 1.2 * radius + 1, height))
        if x1 <= x0 or y1 <= y0:
            continue
        soft = _blurred(image, 2.5 * scale) if soft is None else soft
        rows, columns = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        squared = ((columns - x) / radius) ** 2 + ((rows - y) / (1.2 * radius)) ** 2
        cover = np.clip(1.3 * (1 - squared), 0, 1).astype(np.float32)
        bent_x = (columns - cover * (columns - x) * 2.4).astype(np.float32)
        bent_y = (rows - cover * (rows - y) * 2.4).astype(np.float32)
        drop = cv2.remap(soft, bent_x, bent_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        window = result[y0:y1, x0:x1]
        window += cover[..., None] * (drop - window)
    return result


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """A wide blur, computed at a quarter of the size when it is wide enough to hide that."""
    if sigma < 4:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (width, height), interpolation=cv2.INTER_LINEAR)
