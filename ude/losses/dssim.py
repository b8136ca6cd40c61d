"""Structural dissimilarity with its own gradient.

Source: SSIM, https://doi.org/10.1109/TIP.2003.819861, with the constants 0.01^2 and 0.03^2.

Everything is kept in window sums instead of means: with nine pixels per window, numerator and denominator of SSIM are
multiplied by 81 each, which saves a division per map, and its rounding.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .windows import window_sums, window_sums_adjoint

PIXELS = 9
C1 = PIXELS**2 * 0.01**2
C2 = PIXELS**2 * 0.03**2


class WindowedImage(NamedTuple):
    """An image with the moments of its 3 x 3 windows, so that they are computed once for many comparisons.

    Attributes:
        image: (..., C, H, W).
        sums: sum over every window, same shape.
        square: its square.
        variance: 81 times the variance of every window.
    """

    image: Tensor
    sums: Tensor
    square: Tensor
    variance: Tensor


def windowed(image: Tensor) -> WindowedImage:
    """An image (..., C, H, W) with the moments of its windows; no gradient flows through them."""
    image = image.detach()
    sums = window_sums(image)
    square = sums * sums
    return WindowedImage(image, sums, square, PIXELS * window_sums(image * image) - square)


def dssim(prediction: Tensor, target: Tensor | WindowedImage) -> Tensor:
    """Structural dissimilarity (1 - SSIM) / 2 per pixel and channel, in [0, 1], of two images (..., C, H, W).

    The window is a 3 x 3 box over a reflected border, as in monodepth2 (a Gaussian window gives other numbers). No
    gradient flows into the target.
    """
    target = target if isinstance(target, WindowedImage) else windowed(target)
    return _Dssim.apply(prediction, *target)


class _Dssim(torch.autograd.Function):
    """SSIM is (a c) / (b v) with the sums of x, of x x and of x y over the windows of the images x and y.

    Autograd would keep and read twice as many maps, and reading maps is what costs. The order of the sums makes the
    factors of equal images equal to the last bit, so that their SSIM is exactly 1.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, sum_y: Tensor, square_y: Tensor, variance_y: Tensor) -> Tensor:
        sum_x = window_sums(x)
        product = sum_x * sum_y
        c = window_sums(x * y).mul_(PIXELS).sub_(product).mul_(2).add_(C2)
        a = product.mul_(2).add_(C1)
        square = sum_x * sum_x
        v = window_sums(x * x).mul_(PIXELS).sub_(square).add_(variance_y).add_(C2)
        b = square.add_(square_y).add_(C1)
        denominator = b * v
        ssim = (a * c).div_(denominator)
        ctx.save_for_backward(x, y, sum_x, sum_y, a, c, b, v, denominator, ssim)
        return ssim.mul(-0.5).add_(0.5).clamp_(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y, sum_x, sum_y, a, c, b, v, denominator, ssim = ctx.saved_tensors
        outer = (gradient * -0.5).mul_(ssim.abs() <= 1)  # beyond, the clamp holds
        per_factor = outer / denominator
        per_ssim = outer.mul_(ssim)
        of_product = (per_factor * a).mul_(2 * PIXELS)
        by_variance = per_ssim / v
        of_square = by_variance * -PIXELS
        of_sum = per_factor.mul_(c - a).mul_(sum_y).mul_(2)
        of_sum.addcmul_(sum_x, by_variance.sub_(per_ssim / b), value=2)
        of_x = window_sums_adjoint(of_sum)
        of_x.addcmul_(x, window_sums_adjoint(of_square), value=2).addcmul_(y, window_sums_adjoint(of_product))
        return of_x, None, None, None, None
