"""The reliability mask of a student's batch: errors of the real day triplet, compared by pixel or by region."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from ude.data.superpixels import superpixels
from ude.losses import error_over_sources, region_means, reliability_mask, source_errors

from .student_weights import StudentWeights


def day_error(
    inverse_depth: Tensor, batch: dict[str, Any], poses: Tensor, weights: StudentWeights
) -> dict[str, Tensor]:
    """Photometric ``error`` of the real day triplet, and where it matters the pixels that are ``seen``.

    (B, 1, H, W) over all sources where pixels are compared whatever is seen of them; else (B, S, 1, H, W) of every
    source, for :func:`compared_errors`.

    Args:
        inverse_depth: inverse depth of the day frame [1/m], (B, 1, H, W).
        batch: a batch with ``target``, ``sources`` and ``K``.
        poses: ``T_source_target`` of its sources, (B, S, 4, 4).
        weights: how the errors are reduced, and what is done with pixels that no source sees.
    """
    errors, inside = source_errors(
        inverse_depth.float(), batch["target"], batch["sources"], batch["K"], poses, ssim_weight=weights.ssim_weight
    )
    if weights.reliability_out_of_view == "compare":
        return {"error": error_over_sources(errors, reduction=weights.reliability_sources)[0]}
    return {"error": errors, "seen": inside}


def compared_errors(
    teacher: dict[str, Tensor], student: dict[str, Tensor], weights: StudentWeights
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Both with one ``error`` per pixel (B, 1, H, W), over the sources that see it with both depths.

    A source that sees a pixel with one of the two depths alone says nothing of which is better.

    Args:
        teacher: what :func:`day_error` said of the teacher's depth.
        student: what it said of the student's.
        weights: how the errors are reduced.
    """
    if "seen" not in student:
        return teacher, student
    inside = teacher["seen"].bool() & student["seen"]
    over_sources = partial(error_over_sources, inside=inside, reduction=weights.reliability_sources)
    (of_teacher, seen), (of_student, _) = over_sources(teacher["error"]), over_sources(student["error"])
    return teacher | {"error": of_teacher, "seen": seen}, {"error": of_student, "seen": seen}


def reliable_pixels(teacher: dict[str, Tensor], student: dict[str, Tensor], weights: StudentWeights) -> Tensor:
    """Pixels (B, 1, H, W), bool, on which the teacher is believed.

    A pixel that no source sees, with the teacher's depth or the student's, has no error to compare. ``keep`` believes
    the teacher there: nothing speaks against it, and a student that predicts far too near would otherwise see no
    target just where it needs one.

    Args:
        teacher: what :func:`compared_errors` made of the teacher's, with ``regions`` where they are compared.
        student: what it made of the student's.
        weights: the rules.
    """
    errors = teacher["error"], student["error"]
    seen = teacher["seen"].bool() & student["seen"] if "seen" in student else None
    if weights.reliability_regions:
        errors = tuple(region_means(error, teacher["regions"], seen) for error in errors)
        if seen is not None:
            seen = region_means(seen.float(), teacher["regions"]) > 0
    mask = reliability_mask(*errors, keep=weights.reliability, margin=weights.reliability_margin)
    if seen is None:
        return mask
    return mask | ~seen if weights.reliability_out_of_view == "keep" else mask & seen


def superpixels_of(images: Tensor, count: int) -> Tensor:
    """Superpixels (B, 1, H, W), whole numbers, of images in [0, 1], (B, 3, H, W)."""
    pixels = images.float().permute(0, 2, 3, 1).cpu().numpy()
    labels = torch.stack([torch.from_numpy(superpixels(image, count)) for image in pixels])
    return labels[:, None].to(images.device)
