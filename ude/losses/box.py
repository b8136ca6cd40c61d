"""The 3 x 3 box mean of SSIM; by slices on a CPU, where ``avg_pool2d`` costs many times the memory traffic."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def box_mean(image: Tensor) -> Tensor:
    """3 x 3 means over a reflected border of maps (..., H, W), same shape."""
    planes = image.reshape(-1, 1, *image.shape[-2:])  # reflection needs four dimensions
    return _BoxMean.apply(planes).view(image.shape)


class _BoxMean(torch.autograd.Function):
    """Mean with its own adjoint: what autograd derives of the slices copies a whole map for every slice."""

    @staticmethod
    def forward(ctx: Any, planes: Tensor) -> Tensor:
        return _inner_means(F.pad(planes, (1, 1, 1, 1), mode="reflect"))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        padded = _inner_means(F.pad(gradient, (2, 2, 2, 2)))  # gradient of the reflected image, (..., H + 2, W + 2)
        rows = padded[..., 1:-1, :].clone()
        rows[..., 1, :] += padded[..., 0, :]  # the border mirrors the row next to the outermost
        rows[..., -2, :] += padded[..., -1, :]
        columns = rows[..., 1:-1].clone()
        columns[..., 1] += rows[..., 0]
        columns[..., -2] += rows[..., -1]
        return columns


def _inner_means(planes: Tensor) -> Tensor:
    """3 x 3 means (N, 1, H - 2, W - 2) without a border."""
    if planes.is_cuda:
        return F.avg_pool2d(planes, 3, 1)
    sums = planes[..., :-2] + planes[..., 1:-1]
    sums += planes[..., 2:]
    total = sums[..., :-2, :] + sums[..., 1:-1, :]
    total += sums[..., 2:, :]
    return total.mul_(1 / 9)
