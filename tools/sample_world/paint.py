"""What the material functions take and give back."""

from dataclasses import dataclass

import numpy as np

from .textures import atlas


@dataclass(frozen=True)
class Patch:
    """n points of one material, in the frames of their solids; vectors and colours are (3, n) float32, the rest (n,).

    `local` is the position [m], `half` the half extents [m], `face` the axis whose face was hit, `height` the height
    above the ground [m], `footprint` the width of a pixel there [m]; `cos` and `sin` belong to the solids' yaw.
    """

    local: np.ndarray
    half: np.ndarray
    face: np.ndarray
    normal: np.ndarray
    height: np.ndarray
    footprint: np.ndarray
    tint: np.ndarray
    seed: np.ndarray
    box: np.ndarray
    cos: np.ndarray
    sin: np.ndarray
    city: bool

    @property
    def u(self) -> np.ndarray:
        """Coordinate along a wall [m]."""
        return np.where(self.face == 0, self.local[1], self.local[0])

    @property
    def v(self) -> np.ndarray:
        """Coordinate up a wall, or across a top face [m]."""
        return np.where(self.face == 2, self.local[1], self.height)

    def texture(self, name: str, scale: float, u: np.ndarray | None = None, v: np.ndarray | None = None) -> np.ndarray:
        """Colours (3, n) of a texture.

        Args:
            name: which texture.
            scale: width of a tile [m].
            u: first coordinate [m] in place of the wall's.
            v: second coordinate [m] in place of the wall's.
        """
        inverse = np.float32(1 / scale)
        u = (self.u if u is None else u) * inverse + self.seed * np.float32(0.37)
        v = (self.v if v is None else v) * inverse
        return atlas().sample(atlas().rows[name], u, v, self.footprint * inverse)


@dataclass(frozen=True)
class Paint:
    """Albedo (3, n), light given off at night (3, n), mirror strength 0..1 (n,) or one for all, puddles (n,).

    `normal` replaces the geometric normal (in the solids' frames) where a surface is rough.
    """

    albedo: np.ndarray
    emission: np.ndarray | None = None
    gloss: np.ndarray | float = 0.0
    puddle: np.ndarray | float = 0.0
    normal: np.ndarray | None = None


def color(red: float, green: float, blue: float) -> np.ndarray:
    """One colour as a (3, 1) array, to be mixed with (3, n) ones."""
    return np.array([[red], [green], [blue]], np.float32)


def coverage(x: np.ndarray, low: np.ndarray | float, high: np.ndarray | float, width: np.ndarray) -> np.ndarray:
    """Share of a pixel that lies between two edges: a box filter of the pixel's width.

    Args:
        x: coordinate of the pixel.
        low: lower edge, in the unit of x.
        high: upper edge.
        width: width of the pixel in the unit of x.
    """
    inverse = 1 / np.maximum(width, np.float32(1e-4))
    inside = np.clip((x - low) * inverse + 0.5, 0, 1) * np.clip((high - x) * inverse + 0.5, 0, 1)
    blurred = np.clip(width - 0.6, 0, 1)  # pixels wider than the pattern's period see its mean
    return (inside * (1 - blurred) + blurred * (high - low)).astype(np.float32)
