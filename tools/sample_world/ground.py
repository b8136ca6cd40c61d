"""The ground: asphalt, lane paint, zebra crossings, kerbs, pavements, verges and puddles."""

import numpy as np

from .paint import Paint, color, coverage
from .road import CROSSING_HALF, Road
from .textures import atlas

WHITE = color(0.72, 0.72, 0.70)
YELLOW = color(0.70, 0.50, 0.10)


def ground_paint(x: np.ndarray, y: np.ndarray, footprint: np.ndarray, road: Road) -> Paint:
    """Albedo, gloss and puddles of points on the ground.

    Args:
        x: world x [m], (n,).
        y: world y [m], (n,).
        footprint: width of a pixel on the ground [m], (n,).
        road: the road.
    """
    across = road.across(x, y)
    aside = np.abs(across)
    to_crossing = np.min([np.abs(x - np.float32(c)) for c in road.crossings], 0)
    crossing = to_crossing < CROSSING_HALF
    asphalt = crossing | (aside < road.half_width)
    pavement = ~asphalt & (aside < road.half_width + road.pavement)
    fields = _sample("cloudy", x, y, 37.0, footprint)
    albedo = _base(x, y, footprint, road, aside, asphalt, pavement) * (0.65 + 0.7 * fields[1])
    lane = (aside % np.float32(road.lane_width) - np.float32(road.lane_width / 2)) / np.float32(0.8)
    tracks = road.brightness * (0.8 + 0.4 * np.exp(-(lane**2)))  # tyres darken the lane's edges
    albedo *= np.where(asphalt, tracks, 1).astype(np.float32)
    wear = 0.45 + 0.55 * np.clip((fields[2] - 0.2) * 2.2, 0, 1)
    wear *= asphalt & ~crossing
    white, yellow = _markings(x, across, to_crossing, footprint, road)
    albedo += white * wear * (WHITE - albedo)
    albedo += yellow * wear * ((WHITE if road.left_hand else YELLOW) - albedo)
    kerb = ~crossing & (aside > road.half_width) & (aside < road.half_width + 0.16)
    albedo[:, kerb] = albedo[:, kerb] * 0.5 + 0.22
    gloss = np.where(asphalt, 1.0, np.where(pavement, 0.55, 0.08))
    return Paint(albedo, gloss=gloss, puddle=np.clip((fields[0] - 0.52) * 9, 0, 1))


def _sample(name: str, x: np.ndarray, y: np.ndarray, scale: float, footprint: np.ndarray) -> np.ndarray:
    inverse = np.float32(1 / scale)
    return atlas().sample(atlas().rows[name], x * inverse, y * inverse, footprint * inverse)


def _base(
    x: np.ndarray,
    y: np.ndarray,
    footprint: np.ndarray,
    road: Road,
    aside: np.ndarray,
    asphalt: np.ndarray,
    pavement: np.ndarray,
) -> np.ndarray:
    """Unpainted albedo (3, n)."""
    rows = atlas().rows
    verge = rows["paving"] if road.paved_verge else rows["grass"]
    beyond = rows["dirt"] if road.kind == "city" else rows["grass"]
    row = np.where(aside > road.half_width + road.pavement + road.verge + 1, beyond, verge)
    row[pavement] = rows["paving"]
    row[asphalt] = rows["patched" if road.patched else "asphalt"]
    inverse = np.full(x.size, 1 / 3, np.float32)
    inverse[pavement], inverse[asphalt] = 1 / 4, 1 / 5
    return atlas().sample(row, x * inverse, y * inverse, footprint * inverse)


def _markings(
    x: np.ndarray, across: np.ndarray, to_crossing: np.ndarray, footprint: np.ndarray, road: Road
) -> tuple[np.ndarray, np.ndarray]:
    """Coverage by white and by centre-line paint, both (n,)."""
    aside, lane = np.abs(across), np.float32(road.lane_width)
    free = to_crossing > CROSSING_HALF + 5.0
    edge = np.float32(road.lanes) * lane
    white = coverage(aside, edge - np.float32(0.06), edge + np.float32(0.06), footprint)
    if road.lanes == 2:
        dashes = coverage((x / 9) % 1, 0.1, 0.45, footprint / 9)
        white = np.maximum(white, coverage(aside, lane - np.float32(0.06), lane + np.float32(0.06), footprint) * dashes)
        centre = coverage(aside, 0.08, 0.2, footprint)
    else:
        centre = coverage(aside, -0.01, 0.07, footprint) * coverage((x / 6) % 1, 0.1, 0.6, footprint / 6)
    stop = coverage(to_crossing, CROSSING_HALF + 5.0, CROSSING_HALF + 5.4, footprint * 2) * (aside < edge)
    zebra = coverage(to_crossing, CROSSING_HALF + 1.0, CROSSING_HALF + 4.0, footprint * 2)
    zebra *= coverage((across / np.float32(1.1)) % 1, 0.25, 0.75, footprint)
    return np.maximum(white * free, np.maximum(zebra, stop)), centre * free
