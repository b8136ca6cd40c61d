"""Procedural, tileable textures and the mip-mapped atlas that holds them all."""

from functools import cache

import cv2
import numpy as np

from .noise import fractal

TILE = 512  # texels along an edge
LEVELS = 8
PAD = 2  # wrapped texels around every tile, for bilinear lookups
LOOKUP_WIDTH = 1024
Color = tuple[float, float, float]


def _blend(share: np.ndarray, dark: Color, bright: Color) -> np.ndarray:
    """Colours (H, W, 3) between two tones."""
    low, high = np.array(dark, np.float32), np.array(bright, np.float32)
    return low + (high - low) * share[..., None]


def _asphalt(rng: np.random.Generator, fine: np.ndarray) -> np.ndarray:
    image = _blend(0.75 * fractal(rng, TILE, gain=0.5) + 0.25 * fine, (0.10, 0.10, 0.105), (0.26, 0.255, 0.25))
    cracks = np.abs(fractal(rng, TILE, base=4) - 0.5) < 0.006
    image[cracks] *= 0.45
    return image


def _patched(rng: np.random.Generator, asphalt: np.ndarray) -> np.ndarray:
    image = asphalt.copy()
    for _ in range(9):
        x, y = rng.integers(0, TILE, 2)
        width, height = rng.integers(40, 160), rng.integers(40, 260)
        image[y : y + height, x : x + width] *= rng.uniform(0.6, 1.35)
    return image


def _paving(rng: np.random.Generator) -> np.ndarray:
    tiles = 8
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32) / TILE
    stones = np.kron(rng.random((tiles, tiles)), np.ones((TILE // tiles, TILE // tiles))).astype(np.float32)
    grey = 0.34 + 0.16 * stones + 0.14 * (fractal(rng, TILE) - 0.5)
    joint = ((x * tiles) % 1 < 0.05) | ((y * tiles) % 1 < 0.05)
    return _blend(np.where(joint, 0.55 * grey, grey), (0, 0, 0), (1.0, 0.97, 0.92))


def _brick(rng: np.random.Generator, fine: np.ndarray) -> np.ndarray:
    rows, columns = 32, 12
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32) / TILE
    row = np.floor(y * rows)
    across = x * columns + 0.5 * (row % 2)
    tones = rng.random((rows, columns)).astype(np.float32)
    tone = tones[row.astype(int) % rows, np.floor(across).astype(int) % columns]
    image = _blend(np.clip(0.75 * tone + 0.25 * fine, 0, 1), (0.20, 0.075, 0.05), (0.46, 0.22, 0.16))
    image[(across % 1 < 0.06) | (y * rows % 1 < 0.14)] = (0.45, 0.43, 0.40)
    return image


def _panel(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32) / TILE
    grey = 0.5 + 0.3 * (fractal(rng, TILE, gain=0.7) - 0.5)
    grey = np.where(((x * 4) % 1 < 0.02) | ((y * 4) % 1 < 0.02), 0.5 * grey, grey)
    streaks = cv2.GaussianBlur(np.repeat(rng.random((1, TILE)).astype(np.float32), TILE, 0), (9, 1), 0)
    return _blend(grey * (0.85 + 0.3 * (streaks - 0.5)), (0, 0, 0), (0.95, 0.95, 0.96))


def _bark(rng: np.random.Generator) -> np.ndarray:
    x = np.arange(TILE, dtype=np.float32) / TILE
    rough = fractal(rng, TILE, base=4)
    return _blend(0.5 * rough + 0.5 * np.abs(np.sin(60 * x + 6 * rough)), (0.05, 0.04, 0.03), (0.26, 0.21, 0.16))


def _roof(rng: np.random.Generator) -> np.ndarray:
    rows = 24
    texels = TILE // rows + 1
    tiles = np.kron(0.35 + 0.4 * rng.random((rows, rows)), np.ones((texels, texels)))[:TILE, :TILE]
    shade = 0.55 + 0.45 * (np.arange(TILE) / TILE * rows % 1)
    return _blend((tiles * shade[:, None]).astype(np.float32), (0.05, 0.03, 0.025), (0.42, 0.24, 0.19))


def _textures(seed: int) -> dict[str, np.ndarray]:
    """All textures by name, (TILE, TILE, 3) float32 albedo; `cloudy` is not a colour but three noise fields."""
    rng = np.random.default_rng(seed)
    fine = rng.random((TILE, TILE)).astype(np.float32)
    asphalt = _asphalt(rng, fine)
    meadow = 0.6 * fractal(rng, TILE, base=8, gain=0.75) + 0.4 * fine
    plaster = 0.8 * fractal(rng, TILE, gain=0.7) + 0.2 * fine
    dirt = 0.6 * fractal(rng, TILE, gain=0.7) + 0.4 * fine
    metal = 0.7 * fractal(rng, TILE) + 0.3 * fine
    fields = [
        fractal(rng, TILE, gain=0.6),
        fractal(rng, TILE, base=4, gain=0.7),
        fractal(rng, TILE, base=1, gain=0.5),
    ]
    return {
        "asphalt": asphalt,
        "patched": _patched(rng, asphalt),
        "paving": _paving(rng),
        "grass": _blend(meadow, (0.03, 0.06, 0.015), (0.22, 0.30, 0.09)),
        "brick": _brick(rng, fine),
        "plaster": _blend(plaster, (0.42, 0.41, 0.39), (0.78, 0.76, 0.72)),
        "panel": _panel(rng),
        "bark": _bark(rng),
        "dirt": _blend(dirt, (0.14, 0.11, 0.08), (0.42, 0.35, 0.27)),
        "metal": _blend(metal, (0.26, 0.27, 0.28), (0.48, 0.49, 0.50)),
        "roof": _roof(rng),
        "cloudy": np.stack(fields, -1),
    }


class Atlas:
    """All textures and their mip levels in one image, so that a lookup is one `cv2.remap`."""

    def __init__(self, seed: int = 0):
        textures = _textures(seed)
        sizes = [TILE >> level for level in range(LEVELS)]
        starts = np.cumsum([0] + [size + 2 * PAD for size in sizes])
        self.row_height = TILE + 2 * PAD
        self.image = np.zeros((self.row_height * len(textures), int(starts[-1]), 3), np.float32)
        self.sizes = np.array(sizes, np.float32)
        self.starts = starts[:-1].astype(np.float32) + PAD - 0.5
        self.rows = {name: np.float32(k * self.row_height + PAD - 0.5) for k, name in enumerate(textures)}
        for k, texture in enumerate(textures.values()):
            for size, start in zip(sizes, starts, strict=False):
                tile = cv2.resize(texture, (size, size), interpolation=cv2.INTER_AREA)
                tile = np.pad(tile, ((PAD, PAD), (PAD, PAD), (0, 0)), mode="wrap")
                top = k * self.row_height
                self.image[top : top + size + 2 * PAD, start : start + size + 2 * PAD] = tile

    def sample(self, row: np.ndarray | np.float32, u: np.ndarray, v: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Filtered colours (3, n).

        Args:
            row: `rows[name]` of the texture, one for all or one per point.
            u: first texture coordinate [tiles], (n,) float32.
            v: second texture coordinate [tiles], (n,) float32.
            footprint: width of a pixel on the texture [tiles], (n,).
        """
        level = np.log2(np.maximum(footprint * np.float32(TILE), np.float32(1))) + np.float32(0.3)
        level = np.minimum(level.astype(np.int32), LEVELS - 1)
        size = np.take(self.sizes, level)
        x = (u - np.floor(u)) * size + np.take(self.starts, level)
        y = (v - np.floor(v)) * size + row
        return lookup(self.image, x, y)


def lookup(image: np.ndarray, x: np.ndarray, y: np.ndarray, *, nearest: bool = False) -> np.ndarray:
    """Values of an image at n places, zero outside: (3, n) for a colour image, (n,) otherwise.

    Args:
        image: (H, W) or (H, W, 3) float32.
        x: columns (n,) float32, pixel centres at whole numbers.
        y: rows (n,) float32.
        nearest: whether to take the nearest pixel and not to interpolate.
    """
    count = x.size
    height = -(-count // LOOKUP_WIDTH)
    places = np.full((2, height * LOOKUP_WIDTH), -10, np.float32)  # OpenCV wants maps of two dimensions
    places[0, :count], places[1, :count] = x, y
    maps = places.reshape(2, height, LOOKUP_WIDTH)
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    if count == 0:
        return np.zeros((*image.shape[2:], 0), np.float32)
    values = cv2.remap(image, maps[0], maps[1], method, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    if image.ndim == 2:
        return values.reshape(-1)[:count]
    return np.ascontiguousarray(values.reshape(-1, 3)[:count].T)


@cache
def atlas() -> Atlas:
    """The one atlas of the process; building it takes about a second."""
    return Atlas()
