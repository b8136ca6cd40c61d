"""The depth map as the picture that a depth ControlNet was trained on: near is bright, far is dark."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

from ude.files import DataError

QUANTILES = (0.02, 0.98)
OVERLAP = 1 / 3  # share of a tile that its neighbour sees, too
_FLAT = 1e-5  # a spread below this share of the largest value is rounding, not depth
_CELLS = 24  # cells along each side of a tile on which it is aligned
_LEAST_CORRELATION = 0.5  # of a tile with the whole image's map; below, one of them shows nothing


def depth_control(inverse_depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Control image (B, 3, height, width) in [0, 1], near bright, each stretched between its 2 % and 98 % quantiles.

    The stretch makes the picture independent of scale and shift, and a single near or far pixel cannot flatten the
    rest. It is a float picture: 16-bit images turn white in the pipelines' image processor. Sky (inverse depth 0) is
    black, a wall that fills the image is grey, pixels that are not a number are as black as the farthest.

    Args:
        inverse_depth: relative inverse depth (B, 1, h, w), near is large.
        size: (height, width) of the control image [px].

    Raises:
        DataError: a map holds no finite number.
    """
    KORNIA_CHECK_SHAPE(inverse_depth, ["B", "1", "H", "W"])
    whole = _finite(inverse_depth.float())
    resized = F.interpolate(whole, size, mode="bilinear", align_corners=False, antialias=True)
    rows = resized.flatten(1)
    far, near = torch.quantile(rows, rows.new_tensor(QUANTILES), dim=1)  # (B,) each
    least, most = rows.amin(1), rows.amax(1)
    flat = _FLAT * rows.abs().amax(1)
    nearly_flat = near - far <= flat  # such as little but sky: the few other pixels count after all
    far, near = torch.where(nearly_flat, least, far), torch.where(nearly_flat, most, near)
    stretched = ((rows - far[:, None]) / (near - far).clamp(min=1e-12)[:, None]).clamp(0, 1)
    wall = (most - least <= flat) & (most > 0)
    stretched = torch.where(wall[:, None], 0.5, stretched).view_as(resized)
    return stretched.expand(-1, 3, -1, -1).contiguous()


def tiled_inverse_depth(network: Callable[[Tensor], Tensor], images: Tensor, *, tiles: int) -> Tensor:
    """Relative inverse depth (B, 1, H, W) with the detail of overlapping tiles and the layout of the whole image.

    A network that resizes what it gets to its own input size sees each of `tiles` x `tiles` parts larger than in the
    whole image. Every tile has a scale and shift of its own, so it is aligned to the whole image's map by least
    squares, on cells so coarse that both maps show the same; where they do not agree, as in a cloudless sky, the
    whole image's map stays. Smooth windows blend the tiles. Neighbours in the batch do not matter.

    Args:
        network: inverse depth (B, 1, h, w) of images (B, 3, h, w), of any size.
        images: images in [0, 1], (B, 3, H, W).
        tiles: number of tiles along each side; 1 for the whole image alone.
    """
    whole = network(images)
    if tiles == 1:
        return whole
    blended, weight = torch.zeros_like(whole), torch.zeros_like(whole[:1])
    height, width = images.shape[-2:]
    for rows in _spans(height, tiles):
        for columns in _spans(width, tiles):
            part = (..., rows, columns)
            window = _window(rows, whole)[:, None] * _window(columns, whole)
            blended[part] += window * _aligned(network(images[part].contiguous()), whole[part])
            weight[part] += window
    return torch.maximum(blended / weight, whole.amin((1, 2, 3), keepdim=True))


def _spans(length: int, count: int) -> list[slice]:
    """Evenly spaced parts of one side, all of one length, neighbours overlapping by a third of it or a pixel more."""
    size = math.ceil(length / (1 + (count - 1) * (1 - OVERLAP)))
    starts = [round(i * (length - size) / (count - 1)) for i in range(count)]
    return [slice(start, start + size) for start in starts]


def _window(span: slice, like: Tensor) -> Tensor:
    """Weights of the pixels of a part along one side: a smooth bump that is nothing at both ends."""
    size = span.stop - span.start
    return torch.sin((torch.arange(size, device=like.device, dtype=like.dtype) + 0.5) * (math.pi / size)) ** 2


def _aligned(tile: Tensor, whole: Tensor) -> Tensor:
    """A tile's map (B, 1, h, w) with the scale and shift that fit the whole image's; that itself where none fits.

    Fine detail of the tile, which the other map cannot show, would make the scale too small: it is averaged away.
    """
    cells = tuple(min(side, _CELLS) for side in tile.shape[-2:])
    own, other = (F.adaptive_avg_pool2d(x, cells).flatten(1) for x in (tile, whole))  # (B, N)
    own_mean, other_mean = own.mean(1, keepdim=True), other.mean(1, keepdim=True)
    own, other = own - own_mean, other - other_mean
    variance, covariance = (own**2).sum(1, keepdim=True), (own * other).sum(1, keepdim=True)
    agreeing = covariance > _LEAST_CORRELATION * (variance * (other**2).sum(1, keepdim=True)).sqrt()
    fits = agreeing & torch.isfinite(tile).flatten(1).all(1, keepdim=True)
    scale, tile_mean, whole_mean, fits = (
        x.view(-1, 1, 1, 1) for x in (covariance / variance, own_mean, other_mean, fits)
    )
    return torch.where(fits, scale * (tile - tile_mean) + whole_mean, whole)


def _finite(inverse_depth: Tensor) -> Tensor:
    """Maps with the farthest value in place of NaN and -inf, and the nearest in place of +inf, image by image."""
    finite = torch.isfinite(inverse_depth)
    if bool(finite.all()):
        return inverse_depth
    if not bool(finite.flatten(1).any(1).all()):
        raise DataError("a depth map holds no finite number; train or download the depth network again")
    low = torch.where(finite, inverse_depth, torch.inf).amin((1, 2, 3), keepdim=True)
    high = torch.where(finite, inverse_depth, -torch.inf).amax((1, 2, 3), keepdim=True)
    return torch.where(finite, inverse_depth, torch.where(inverse_depth == torch.inf, high, low))
