"""Sums over the 3 x 3 windows of SSIM, and their adjoint."""

import torch
from torch import Tensor
from torch.nn import functional as F


def window_sums(maps: Tensor) -> Tensor:
    """Sums over the 3 x 3 windows of maps (..., H, W) with a reflected border, same shape.

    By slices on a CPU, where ``avg_pool2d`` costs many times the memory traffic.
    """
    if maps.is_cuda and not torch.compiler.is_compiling():
        planes = maps.reshape(-1, 1, *maps.shape[-2:])
        return F.avg_pool2d(F.pad(planes, (1, 1, 1, 1), mode="reflect"), 3, 1, divisor_override=1).view(maps.shape)
    return _sums_along(_sums_along(maps, -1), -2)


def window_sums_adjoint(gradient: Tensor) -> Tensor:
    """Gradient of the maps that :func:`window_sums` summed, from that of the sums, (..., H, W)."""
    return _adjoint_along(_adjoint_along(gradient, -2), -1)


def _sums_along(maps: Tensor, dim: int) -> Tensor:
    """Sums of three neighbours; beyond the border lies the mirror image, which does not repeat the border."""
    last = maps.shape[dim] - 1
    if torch.compiler.is_compiling():
        return _fused_sums([maps.narrow(dim, 1, 1), maps, maps.narrow(dim, last - 1, 1)], dim)
    sums = _inner_sums(maps, dim)
    torch.add(maps.narrow(dim, 0, 1), maps.narrow(dim, 1, 1), alpha=2, out=sums.narrow(dim, 0, 1))
    torch.add(maps.narrow(dim, last, 1), maps.narrow(dim, last - 1, 1), alpha=2, out=sums.narrow(dim, last, 1))
    return sums


def _adjoint_along(gradient: Tensor, dim: int) -> Tensor:
    """Sums of three neighbours with nothing beyond the border, and once more what the mirror image had read."""
    last = gradient.shape[dim] - 1
    first, end = gradient.narrow(dim, 0, 1), gradient.narrow(dim, last, 1)
    if torch.compiler.is_compiling():
        zero = torch.zeros_like(first)
        mirrored = _at(first, 1, last, dim) + _at(end, last - 1, last, dim)
        return _fused_sums([zero, gradient, zero], dim) + mirrored
    sums = _inner_sums(gradient, dim)
    torch.add(first, gradient.narrow(dim, 1, 1), out=sums.narrow(dim, 0, 1))
    torch.add(end, gradient.narrow(dim, last - 1, 1), out=sums.narrow(dim, last, 1))
    sums.narrow(dim, 1, 1).add_(first)
    sums.narrow(dim, last - 1, 1).add_(end)
    return sums


def _inner_sums(maps: Tensor, dim: int) -> Tensor:
    """Sums of three neighbours in place of all but the first and the last, which are left to be filled."""
    count = maps.shape[dim] - 2
    sums = torch.empty_like(maps)
    inner = sums.narrow(dim, 1, count)
    torch.add(maps.narrow(dim, 0, count), maps.narrow(dim, 1, count), out=inner)
    inner += maps.narrow(dim, 2, count)
    return sums


def _fused_sums(parts: list[Tensor], dim: int) -> Tensor:
    """Sums of three neighbours of the parts in a row, in a form that compiles into one loop."""
    row = torch.cat(parts, dim)
    count = row.shape[dim] - 2
    return row.narrow(dim, 0, count) + row.narrow(dim, 1, count) + row.narrow(dim, 2, count)


def _at(line: Tensor, place: int, last: int, dim: int) -> Tensor:
    """A line at a place of maps that are zero elsewhere."""
    around = (place, last - place)
    return F.pad(line, around if dim == -1 else (0, 0, *around))
