"""The street that the simulated weather knows: geometry and soft masks from an image and its inverse depth.

Everything is relative to a camera CAMERA_HEIGHT above a flat road: whatever its scale, the inverse depth is rescaled so
that the road fitted to it lies there. Inverse depth in 1/m and up to scale therefore give the same street.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .camera import blur, luminance

CAMERA_HEIGHT = 1.5  # [m] above the road, a passenger car's roof
FOCAL_PER_WIDTH = 0.8  # focal length over image width: 64 degrees, near nuScenes (0.79) and RobotCar (0.77)
FAR = 250.0  # [m] cap of the pseudo-metric depth


@dataclass(frozen=True)
class Street:
    """Geometry of one frame, every tensor (H, W).

    Attributes:
        depth: pseudo-metric depth [m], at most FAR.
        lateral: offset to the right of the camera [m].
        height: height above the road [m].
        ground: how much a pixel is road or pavement, 0..1.
        sky: how much a pixel is sky, 0..1.
        horizon: row of the horizon [px].
        focal: focal length [px].
    """

    depth: Tensor
    lateral: Tensor
    height: Tensor
    ground: Tensor
    sky: Tensor
    horizon: float
    focal: float

    def row(self, height: float, depth: float) -> float:
        """Row [px] of a point at a height above the road [m] and a depth [m]."""
        return self.horizon + self.focal * (CAMERA_HEIGHT - height) / depth

    def column(self, lateral: float, depth: float) -> float:
        """Column [px] of a point at a lateral offset [m] and a depth [m]."""
        return (self.depth.shape[1] - 1) / 2 + self.focal * lateral / depth

    def shrink(self, step: int) -> "Street":
        """The same street at every `step`-th pixel, for what varies slowly over the image."""
        fields = (x[::step, ::step] for x in (self.depth, self.lateral, self.height, self.ground, self.sky))
        return Street(*fields, horizon=self.horizon / step, focal=self.focal / step)


def street(image: Tensor, inverse_depth: Tensor) -> Street:
    """Street seen in one frame.

    Args:
        image: day frame (3, H, W) in [0, 1].
        inverse_depth: inverse depth (H, W), up to scale, near is large.
    """
    rows, columns = inverse_depth.shape
    focal = FOCAL_PER_WIDTH * columns
    inverse_depth = inverse_depth.float().clamp(min=0)
    horizon, slope = road_line(inverse_depth)
    metric = inverse_depth / (slope * focal * CAMERA_HEIGHT)
    depth = 1 / metric.clamp(min=1 / FAR)
    below_horizon = torch.arange(rows, device=image.device)[:, None] - horizon  # (H, 1)
    right_of_centre = torch.arange(columns, device=image.device)[None] - (columns - 1) / 2  # (1, W)
    ground = ground_mask(CAMERA_HEIGHT - below_horizon * depth / focal, depth) * (below_horizon > 0)
    sky = sky_mask(image, depth, below_horizon) * (1 - ground)
    depth = depth + sky * (FAR - depth)
    return Street(
        depth=depth,
        lateral=right_of_centre * depth / focal,
        height=CAMERA_HEIGHT - below_horizon * depth / focal,
        ground=ground,
        sky=sky,
        horizon=horizon,
        focal=focal,
    )


def road_line(inverse_depth: Tensor) -> tuple[float, float]:
    """Row of the horizon [px] and slope of the line `inverse_depth = slope * (row - horizon)` along the road ahead.

    The inverse depth of a plane is linear in the row; the line is fitted to row medians ahead of the car and the
    horizon is kept within the middle of the image, so that a wrong depth map still gives a usable street.

    Args:
        inverse_depth: inverse depth (H, W), up to scale.
    """
    rows, columns = inverse_depth.shape
    first, last = int(0.65 * rows), max(int(0.97 * rows), int(0.65 * rows) + 2)
    ahead = inverse_depth[first:last, int(0.3 * columns) : int(0.7 * columns) + 1].median(dim=1).values.double().cpu()
    row = torch.arange(first, last, dtype=torch.float64)
    mean = ahead.mean().clamp(min=1e-6)
    covariance = ((row - row.mean()) * (ahead - ahead.mean())).mean()
    slope = (covariance / row.var(correction=0)).clamp(min=1e-6 * float(mean))
    horizon = float((row.mean() - mean / slope).clamp(0.35 * rows, 0.62 * rows))
    return horizon, float(mean) / (float(row.mean()) - horizon)


def ground_mask(height: Tensor, depth: Tensor) -> Tensor:
    """How much a pixel is road or pavement, 0..1 (H, W): near height 0, with a little more tolerance far away.

    A wide one would count the lower part of far cars and walls as road.

    Args:
        height: height above the road [m], (H, W).
        depth: pseudo-metric depth [m], (H, W).
    """
    tolerance = 0.2 + 0.005 * depth
    return torch.sigmoid((tolerance - height.abs()) / (0.25 * tolerance))


def sky_mask(image: Tensor, depth: Tensor, below_horizon: Tensor) -> Tensor:
    """How much a pixel is sky, 0..1 (H, W): bright, smooth, above the horizon and not near.

    Depth alone is not enough: networks trained on video predict almost any depth in a featureless sky.

    Args:
        image: day frame (3, H, W) in [0, 1].
        depth: pseudo-metric depth [m], (H, W).
        below_horizon: rows below the horizon [px], (H, 1).
    """
    rows, columns = image.shape[1:]
    bright = torch.maximum(luminance(image), image[2])  # a blue sky is bright in blue
    warm = (image[0] - image[2]).clamp(min=0)  # a pale wall is
    smooth = blur(bright[None], columns / 300)[0]
    upper = smooth[: rows // 2 + 1 : 2, ::2]
    reference = upper.flatten().kthvalue(max(int(0.9 * upper.numel()), 1)).values.clamp(min=0.3)
    brightest = upper >= 0.95 * torch.minimum(reference, upper.max())  # some pixel is, in a tunnel, too
    sky_depth = depth[: rows // 2 + 1 : 2, ::2][brightest].median().clamp(min=15)  # what the network says of the sky
    nearness = torch.log((depth / sky_depth).clamp(max=1))
    score = 14 * (smooth / reference - 0.8) + 2.5 * nearness - 15 * (bright - smooth).abs() - 12 * warm
    above = torch.sigmoid(-(below_horizon + 0.01 * rows) / (0.008 * rows))
    sky = torch.sigmoid(2 * score) * above
    return torch.maximum(sky, _sky_seam(sky, bright, columns / 160) * above)


def _sky_seam(sky: Tensor, bright: Tensor, width: float) -> Tensor:
    """Share of sky (H, W) in the mixed pixels beside the sky, from their brightness against the sky's there.

    Without it every roof and crown would keep a rim of daylight.
    """
    level, weight = blur(torch.stack([sky * bright, sky]), width)
    share = ((bright / (level / weight.clamp(min=1e-3)).clamp(min=0.1) - 0.45) / 0.4).clamp(0, 1)
    return share * (4 * weight).clamp(max=1)


def weaken_shadows(light: Tensor, street: Street, *, amount: float) -> Tensor:
    """Linear light (3, H, W) with its local mean brightness drawn towards the mean of everything but the sky.

    The sun's large shadows and sunlit patches do not belong to a night or to rain.

    Args:
        light: linear light (3, H, W).
        street: geometry of the frame.
        amount: how much of the local mean is divided out, 0..1.
    """
    width = light.shape[2] / 12
    surface = 1 - street.sky + 1e-3
    weighted = luminance(light) * surface
    local, weight = blur(torch.stack([weighted, surface]), width)
    mean = weighted.sum() / surface.sum()
    return light / (local / weight / mean.clamp(min=1e-3)).clamp(0.2, 5) ** amount


def ground_texture(street: Street, generator: Generator, *, cell: float) -> Tensor:
    """Smooth random pattern (H, W) in [0, 1] that lies on the road; its mean where a pixel holds several cells.

    Args:
        street: geometry of the frame.
        generator: source of the draws (CPU).
        cell: size of the pattern's cells [m].
    """
    pattern = torch.rand((1, 1, 64, 64), generator=generator).to(street.depth.device)
    place = torch.stack([street.lateral, street.depth], dim=-1)[None] / (32 * cell)
    texture = F.grid_sample(pattern, place, mode="bilinear", padding_mode="reflection", align_corners=False)[0, 0]
    metres_per_row = street.depth**2 / (street.focal * CAMERA_HEIGHT)
    return 0.5 + (texture - 0.5) * (cell / metres_per_row).clamp(max=1)
