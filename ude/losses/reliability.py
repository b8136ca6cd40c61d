"""Where a teacher's depth is believed: its photometric error on the real day video against the student's.

Source: SSD / UDE, https://arxiv.org/abs/2403.05056, equations 4 and 5 (see the note at :func:`reliability_mask`).
"""

from typing import Literal

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

from ude.geometry import view_synthesis

from .dssim import WindowedImage, windowed
from .photometric import photometric_error

_STEPS = 2**32
"""Errors are added up in whole steps of 1 / _STEPS: sums that do not depend on the order, on any device."""


def reliability_mask(
    teacher_error: Tensor,
    student_error: Tensor,
    *,
    keep: Literal["teacher_better", "as_printed"] = "teacher_better",
    margin: float = 0.0,
) -> Tensor:
    """Pixels (B, 1, H, W), bool, on which the teacher is to be believed.

    The paper's text keeps a pixel where the student's photometric error is not below the teacher's; its printed
    equation 5 says the reverse. ``teacher_better`` follows the text (and counts ties, so that a student equal to
    its teacher loses no pixel), ``as_printed`` the equation.

    Args:
        teacher_error: photometric error with the teacher's depth, (B, 1, H, W).
        student_error: photometric error with the student's depth, (B, 1, H, W).
        keep: direction of the comparison.
        margin: by how much the teacher's error may be larger in a tie, as in the sky, whose colour says nothing of
            its depth.

    Raises:
        ValueError: for another direction.
    """
    KORNIA_CHECK_SHAPE(teacher_error, ["B", "1", "H", "W"])
    if keep == "teacher_better":
        return teacher_error <= student_error + margin
    if keep == "as_printed":
        return teacher_error > student_error + margin
    raise ValueError(f"keep must be teacher_better or as_printed, got {keep!r}")


def source_errors(
    inverse_depth: Tensor, target: Tensor, sources: Tensor, K: Tensor, T_source_target: Tensor, *, ssim_weight: float
) -> tuple[Tensor, Tensor]:
    """Photometric error of every source that is warped into the target view, and the pixels that lie in its view.

    Args:
        inverse_depth: inverse depth of the target [1/m], (B, 1, H, W).
        target: target image in [0, 1], (B, 3, H, W).
        sources: neighbouring images in [0, 1], (B, S, 3, H, W).
        K: intrinsics at (H, W) [px], (B, 3, 3).
        T_source_target: maps target-camera points to each source camera, (B, S, 4, 4).
        ssim_weight: share of DSSIM in the error.

    Returns:
        Errors (B, S, 1, H, W), and bool of the same shape.
    """
    count = sources.shape[1]
    depth = (1 / inverse_depth).repeat_interleave(count, 0)
    warped, inside = view_synthesis(
        sources.flatten(0, 1), depth, K.repeat_interleave(count, 0), T_source_target.flatten(0, 1)
    )
    with torch.autocast(target.device.type, enabled=False):
        moments = WindowedImage(*(part[:, None] for part in windowed(target)))
        errors = photometric_error(warped.unflatten(0, (-1, count)), moments, ssim_weight)
    return errors, inside.unflatten(0, (-1, count))


def error_over_sources(
    errors: Tensor, inside: Tensor | None = None, *, reduction: Literal["min", "mean"] = "min"
) -> tuple[Tensor, Tensor]:
    """One error per pixel (B, 1, H, W), and where it counts: the pixels that at least one source sees.

    Args:
        errors: error of every source, (B, S, 1, H, W).
        inside: which of them count, bool (B, S, 1, H, W); all when None. A pixel without any takes all.
        reduction: the smallest error, as in training on video, or the mean.
    """
    if inside is None:
        inside = torch.ones_like(errors, dtype=torch.bool)
    seen = inside.any(1)
    counted = inside | ~seen[:, None]
    if reduction == "min":
        return errors.masked_fill(~counted, torch.inf).amin(1), seen
    return errors.masked_fill(~counted, 0).sum(1) / counted.sum(1), seen


def region_means(errors: Tensor, regions: Tensor, counted: Tensor | None = None) -> Tensor:
    """Errors in [0, 1] (B, 1, H, W), each replaced by the mean over its region; 0 in regions that count nowhere.

    The inside of a wrong object without texture has a low photometric error whatever its depth ("false reliability");
    its borders tell, and speak for the whole region.
    Source: object-level reliability of RoSAMDepth (CVPR 2026), on superpixels in place of its object masks.

    Args:
        errors: photometric errors, (B, 1, H, W).
        regions: number of the region of every pixel, whole numbers from 0 and below H * W, (B, 1, H, W).
        counted: pixels that count, bool (B, 1, H, W); all when None.
    """
    index = regions.flatten(1).long()
    steps = (errors.float() * _STEPS).long()
    ones = torch.ones_like(steps) if counted is None else counted.long()
    sums, sizes = (torch.zeros_like(index).scatter_add_(1, index, values.flatten(1)) for values in (steps * ones, ones))
    means = sums.float() / (sizes.clamp(min=1) * _STEPS)
    return means.gather(1, index).view_as(errors)
