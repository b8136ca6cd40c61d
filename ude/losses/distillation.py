"""Reliability-guided distillation (RGD): learn the teacher's depth where the teacher explains the day video better.

Source: SSD / UDE, https://arxiv.org/abs/2403.05056, equation 6; the mask is in `reliability.py`.
"""

import torch
from torch import Tensor


def distillation_loss(
    student: Tensor, teacher: Tensor, mask: Tensor | None = None, count: Tensor | None = None
) -> Tensor:
    """Mean relative depth difference to the teacher over the reliable pixels, |D_S - D_T| / D_T.

    On inverse depths this is |d_S - d_T| / d_S. An empty mask gives 0 with a gradient of exactly 0.
    Source: md4all's day distillation, https://arxiv.org/abs/2308.09711, masked as in arXiv:2403.05056, equation 6.

    Args:
        student: inverse depth of the student [1/m], (B, 1, H, W).
        teacher: inverse depth of the teacher [1/m], (B, 1, H, W); no gradient flows into it.
        mask: bool (B, 1, H, W), true where the teacher is reliable; everywhere when None.
        count: what the sum over the mask is divided by, a scalar; the number of reliable pixels when None. The
            processes of a distributed run pass the mean of their numbers, so that their losses average to that of
            the whole batch.
    """
    student = student.float()
    error = (student - teacher.detach().float()).abs() / student
    if mask is None:
        return error.mean()
    return masked_mean(error, mask, count)


def masked_mean(values: Tensor, mask: Tensor, count: Tensor | None = None) -> Tensor:
    """Sum of the values where the mask is true, divided by ``count`` (the size of the mask when None).

    A count of 0 gives 0 with a gradient of exactly 0; a mean count of several processes may lie between 0 and 1.
    """
    count = mask.sum() if count is None else count
    return torch.where(mask, values, values.new_zeros(())).sum() / torch.where(count > 0, count, 1)
