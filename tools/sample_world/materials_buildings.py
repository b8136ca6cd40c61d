"""Materials of buildings: facades with windows and shops, walls, roofs and the distant skyline."""

from dataclasses import dataclass

import numpy as np

from .noise import hash01
from .paint import Paint, Patch, color, coverage
from .textures import atlas

WALLS = ("brick", "plaster", "panel")


@dataclass(frozen=True)
class _Windows:
    """The window grid of a facade: coverage by glass and by frame, the place within a cell, and identities (n,)."""

    glass: np.ndarray
    frame: np.ndarray
    rise: np.ndarray
    column: np.ndarray
    identity: np.ndarray
    shop: np.ndarray


def _windows(patch: Patch) -> _Windows:
    u, v, seed = patch.u, patch.v, patch.seed
    width, height = 1.9 + 2.2 * hash01(seed, 2), 2.7 + 0.9 * hash01(seed, 3)
    across, up = u / width + 0.5, v / height
    column, floor = np.floor(across), np.floor(up)
    across, up = across - column, up - floor
    half_width, half_height = 0.22 + 0.2 * hash01(seed, 4), 0.2 + 0.22 * hash01(seed, 5)
    shop = (floor == 0) & (hash01(seed, 6) < 0.55) & patch.city
    half_width, half_height = np.where(shop, 0.46, half_width), np.where(shop, 0.40, half_height)
    middle = np.where(shop, 0.45, 0.55)
    pixel_u, pixel_v = patch.footprint / width, patch.footprint / height

    def opening(margin_u: float, margin_v: float) -> np.ndarray:
        beside, above = half_width + margin_u, half_height + margin_v
        return coverage(across, 0.5 - beside, 0.5 + beside, pixel_u) * coverage(
            up, middle - above, middle + above, pixel_v
        )

    identity = seed.astype(np.int64) * 4099 + (column + 64) * 131 + floor * 7 + patch.face
    return _Windows(opening(0, 0), opening(0.05, 0.04), up, column, identity, shop)


def facade(patch: Patch) -> Paint:
    """A house front with windows; in the city often with a shop on the ground floor."""
    rows = atlas().rows
    row = np.take(np.array([rows[name] for name in WALLS]), (hash01(patch.seed, 1) * 3).astype(np.int32))
    third = np.float32(1 / 3)
    wall = atlas().sample(row, patch.u * third + patch.seed * 0.37, patch.v * third, patch.footprint * third)
    wall *= patch.tint
    windows = _windows(patch)
    shade = hash01(windows.identity, 7)
    glass = (0.02 + 0.05 * shade) * color(0.8, 0.95, 1.1) + 0.12 * (shade > 0.7)  # some have their curtains drawn
    frame = np.where(hash01(patch.seed, 8) > 0.5, np.float32(0.6), 0.6 * wall)
    albedo = wall + windows.frame * (frame - wall)
    albedo += windows.glass * (glass - albedo)
    board = windows.shop & (windows.rise > 0.86)
    shop_seed = patch.seed + (windows.column + 64) // 3
    board_color = np.stack([hash01(shop_seed, salt) for salt in (9, 10, 11)])
    albedo = np.where(board, 0.08 + 0.6 * board_color, albedo)
    albedo *= 0.75 + 0.25 * np.clip(patch.v / 1.5, 0, 1)  # dirt at the foot
    emission = _window_light(patch, windows, shade)
    emission = np.where(board & (hash01(shop_seed, 16) < 0.5), 0.8 * board_color + 0.1, emission)
    top = patch.face == 2
    albedo[:, top], emission[:, top] = 0.22, 0
    return Paint(albedo.astype(np.float32), emission, gloss=0.8 * windows.glass * ~top)


def _window_light(patch: Patch, windows: _Windows, shade: np.ndarray) -> np.ndarray:
    """Light from the windows at night (3, n): the same ones are lit in every frame."""
    identity = windows.identity
    lit = np.where(windows.shop, hash01(identity // 40, 12) < 0.6, hash01(identity, 13) < 0.22)
    warm = np.stack([np.ones_like(shade), 0.62 + 0.3 * hash01(identity, 14), 0.25 + 0.6 * hash01(identity, 15)])
    strength = windows.glass * lit * np.where(windows.shop, 1.1, 0.15 + 0.5 * shade)
    return (strength * (0.4 + 1.2 * patch.texture("cloudy", 0.9)[0])).astype(np.float32) * warm


def skyline(patch: Patch) -> Paint:
    """A distant block with rows of windows, or a wooded hill outside the city."""
    width, height = np.float32(3.0), np.float32(3.2)
    u, v = patch.u / width, patch.v / height
    albedo = (0.16 + 0.16 * hash01(patch.seed, 1)) * color(0.95, 1, 1.08) * patch.tint
    glass = coverage(u % 1, 0.2, 0.8, patch.footprint / width) * coverage(v % 1, 0.25, 0.75, patch.footprint / height)
    glass *= patch.face != 2
    albedo *= 1 - 0.55 * glass
    if not patch.city:
        albedo *= 0.4 + 1.2 * patch.texture("cloudy", 12.0)[0]
    identity = patch.seed.astype(np.int64) * 4099 + (np.floor(u) + 64) * 131 + np.floor(v) * 7
    lit = hash01(identity, 2) < (0.16 if patch.city else 0.01)
    return Paint(albedo, glass * lit * color(0.5, 0.38, 0.2))


def brick(patch: Patch) -> Paint:
    """A garden wall."""
    return Paint(patch.texture("brick", 2.2))


def plaster(patch: Patch) -> Paint:
    """A plain, slightly stained wall."""
    return Paint(patch.tint * (0.8 + 0.4 * patch.texture("cloudy", 2.0)[0]))


def roof(patch: Patch) -> Paint:
    """Roof tiles in rows along the eaves."""
    up = np.sqrt(patch.local[1] ** 2 + patch.local[2] ** 2)
    return Paint(patch.tint * patch.texture("roof", 4.0, patch.local[0], up))
