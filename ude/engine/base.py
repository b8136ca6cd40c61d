"""What every training stage shares: un-flipping, optimiser, logging, finite losses."""

from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor

from ude.models import DepthNet, DepthPrediction, PoseNet

from .images import log_images


class NonFiniteLossError(FloatingPointError):
    """A loss term became NaN or infinite; the message names the step, the terms and the frames."""

    exit_code = 5


@dataclass(frozen=True)
class Solver:
    """Optimiser settings: AdamW with a warm-up, then a constant or linearly falling learning rate.

    Attributes:
        lr_encoder: learning rate of the depth encoder.
        lr_decoder: learning rate of the depth decoder and heads.
        lr_pose: learning rate of the pose network.
        weight_decay: decoupled weight decay.
        schedule: ``linear`` (to 0 at the last step) or ``constant``.
        warmup: steps over which the rates rise from 0.
    """

    lr_encoder: float
    lr_decoder: float
    lr_pose: float = 0.0
    weight_decay: float = 0.01
    schedule: str = "linear"
    warmup: int = 0


class DepthModule(L.LightningModule):
    """A training stage around one depth network; a stage adds its :meth:`losses`.

    Args:
        depth_net: the network that is trained.
        pose_net: trained beside it, when the stage has one.
        solver: optimiser settings.
        images_every: steps between image grids in TensorBoard; 0 writes none.
    """

    def __init__(
        self,
        depth_net: DepthNet,
        pose_net: PoseNet | None = None,
        *,
        solver: Solver,
        images_every: int = 0,
    ) -> None:
        super().__init__()
        self.depth_net = depth_net
        self.pose_net = pose_net
        self.solver = solver
        self.images_every = images_every

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weighted loss terms (scalars), and maps (B, 1, H, W) to look at."""
        raise TypeError(f"{type(self).__name__} must define losses()")

    def predict_depth(self, batch: dict[str, Any]) -> DepthPrediction:
        """The prediction on ``depth_input`` in the geometry of ``target``: mirrored samples are mirrored back."""
        prediction = self.depth_net(batch["depth_input"])
        flipped = batch["flipped"]
        inverse_depths = [mirror_back(inverse_depth, flipped) for inverse_depth in prediction.inverse_depths]
        return DepthPrediction(inverse_depths, mirror_back(prediction.features, flipped))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step: sum of the loss terms.

        Raises:
            NonFiniteLossError: when a term is not finite.
        """
        terms, maps = self.losses(batch)
        total = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(total):
            values = ", ".join(f"{name} {term.item():.4g}" for name, term in terms.items())
            raise NonFiniteLossError(
                f"loss is not finite at step {self.global_step} ({values}); frames: {', '.join(batch['frame_id'])}"
            )
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:
            self._log_terms(terms | {"total": total}, maps, batch_size=len(batch["frame_id"]))
        if self.images_every and self.global_step % self.images_every == 0:
            log_images(self.loggers, batch, maps, self.global_step)
        return total

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with one group each for encoder, decoder and pose network."""
        encoder, decoder = self.depth_net.parameter_groups()
        groups = [
            {"params": encoder, "lr": self.solver.lr_encoder},
            {"params": decoder, "lr": self.solver.lr_decoder},
        ]
        if self.pose_net is not None:
            groups.append({"params": list(self.pose_net.parameters()), "lr": self.solver.lr_pose})
        optimizer = torch.optim.AdamW(groups, weight_decay=self.solver.weight_decay)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """Factor of the learning rates at a step."""
        warm = min(1.0, (step + 1) / (self.solver.warmup + 1))
        if self.solver.schedule == "constant":
            return warm
        return warm * max(0.0, 1 - step / self.trainer.estimated_stepping_batches)

    def _log_terms(self, terms: dict[str, Tensor], maps: dict[str, Tensor], batch_size: int) -> None:
        values = {f"loss/{name}": term.detach() for name, term in terms.items()}
        values |= {f"mask/{name}": m.float().mean() for name, m in maps.items() if m.dtype == torch.bool}
        depth = 1 / maps["inverse_depth"]
        values |= {"depth/min": depth.min(), "depth/median": depth.median(), "depth/max": depth.max()}
        self.log_dict(values, on_step=True, on_epoch=False, batch_size=batch_size)


def mirror_back(maps: Tensor, flipped: Tensor) -> Tensor:
    """Maps (B, C, H, W) of a batch of which some inputs were mirrored, back in the un-mirrored geometry.

    Args:
        maps: what the network made of the inputs.
        flipped: which inputs were mirrored, bool (B,).
    """
    return torch.where(flipped[:, None, None, None], maps.flip(-1), maps)
