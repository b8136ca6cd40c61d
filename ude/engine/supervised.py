"""Stage ``supervised``: LiDAR of the original frame supervises the prediction on the day or the translated frame.

SSD / UDE, https://arxiv.org/abs/2403.05056, shows a supervised variant without saying how it is trained; that it has
the loss of md4all's (https://arxiv.org/abs/2308.09711) supervised protocol, translated inputs with the LiDAR of the
originals, is inferred.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ude.losses.supervised import inverse_depth_at, supervised_loss, usable_returns
from ude.models import DepthNet

from .base import DepthModule
from .distributed import mean_over_processes


@dataclass(frozen=True)
class SupervisedOptions:
    """The objective of the supervised stage.

    Attributes:
        kind: the error at the returns, ``silog`` or ``l1``.
        variance_weight: of silog, 0..1.
    """

    kind: Literal["silog", "l1"] = "silog"
    variance_weight: float = 0.5


class SupervisedModule(DepthModule):
    """Training on sparse LiDAR depth, without a teacher.

    Returns count that lie within the range of depths that the network can say. Where there are none, in the sky and
    above the scan lines, nothing supervises the prediction.

    Args:
        depth_net: the network.
        options: the objective.
        **kwargs: see :class:`DepthModule`.
    """

    def __init__(self, depth_net: DepthNet, *, options: SupervisedOptions, **kwargs: Any) -> None:
        super().__init__(depth_net, **kwargs)
        self.options = options

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The error at the returns, as a mean over the predicted scales."""
        prediction = self.predict_depth(batch)
        index, value = batch["lidar_index"], batch["lidar_value"]
        valid = usable_returns(index, value, **self.depth_net.range)
        count = mean_over_processes(valid.any(1).sum())
        errors = [
            supervised_loss(
                inverse_depth_at(inverse_depth, index, batch["native_size"]),
                value,
                valid,
                kind=self.options.kind,
                variance_weight=self.options.variance_weight,
                count=count,
            )
            for inverse_depth in prediction.inverse_depths
        ]
        return {"supervised": torch.stack(errors).mean()}, {"inverse_depth": prediction.inverse_depths[0].detach()}
