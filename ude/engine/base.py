"""What every training stage shares: un-flipping, optimiser, logging, finite losses."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from ude.models import DepthNet, DepthPrediction, PoseNet, save_model
from ude.models.encoders import without_lora

from .guard import FiniteGuard
from .hardware import is_out_of_memory, out_of_memory, slow_bfloat16
from .images import log_config, log_images
from .optimiser import Solver, adamw, clip_gradients, gradient_norms, match_layout
from .scalars import StepClock, depth_scalars, write_scalars
from .verdict import NonFiniteLossError

__all__ = ["DepthModule", "NonFiniteLossError", "Solver", "mirror_back"]

logger = logging.getLogger(__name__)


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
        self.guard = FiniteGuard({"depth": depth_net} | ({} if pose_net is None else {"pose": pose_net}))
        self.clock = StepClock()
        self._scalars: dict[str, Tensor | float] = {}  # of the current step, where it is logged
        self._norms = torch.zeros(())
        self._shape = torch.Size((0, 0, 0, 0))  # of the batch's targets

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weighted loss terms (scalars), and maps (B, 1, H, W) to look at."""
        raise TypeError(f"{type(self).__name__} must define losses()")

    def map_scalars(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalars of the maps of a logged step."""
        return depth_scalars(maps, self.depth_net.range["max_depth"])

    def predict_depth(self, batch: dict[str, Any]) -> DepthPrediction:
        """The prediction on ``depth_input`` in the geometry of ``target``: mirrored samples are mirrored back."""
        prediction = self.depth_net(batch["depth_input"])
        flipped = batch["flipped"]
        inverse_depths = [mirror_back(inverse_depth, flipped) for inverse_depth in prediction.inverse_depths]
        return DepthPrediction(inverse_depths, mirror_back(prediction.features, flipped))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step: sum of the loss terms."""
        self._shape = batch["target"].shape
        self.guard.begin(self.global_step, batch)
        terms, maps = self.losses(batch)
        self.guard.add_terms(terms)
        total = torch.stack(list(terms.values())).sum()
        if self._logged():
            self._scalars = {f"loss/{name}": term.detach() for name, term in (terms | {"total": total}).items()}
            self._scalars |= self.map_scalars(maps)
        if self.images_every and self.global_step % self.images_every == 0:
            log_images(self.loggers, batch, maps, self.global_step)
        return total

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with one group each for encoder, decoder and pose network."""
        optimizer = adamw(self._parts(), self.solver)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.solver.rate(step, self.trainer.estimated_stepping_batches)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Forward and backward pass and update, then the scalars of the step.

        Raises:
            NonFiniteLossError: an input, a loss term or a gradient of this or the last step is not finite.
            OutOfMemoryError: the step does not fit into the device's memory.
        """
        try:
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        except NonFiniteLossError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise out_of_memory(error, step=self.global_step, batch=self._shape) from error
            self.guard.check_inputs()
            raise
        self.clock.step(self._shape[0])
        if self._scalars:
            self._write_scalars()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Judge the gradients as they came, before they are clipped."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)  # a fused optimiser would do it in its update, behind the clipping
        self._norms = gradient_norms(optimizer)
        self.guard.check(optimizer, dict(zip(self._parts(), self._norms, strict=True)), scaled=scaler is not None)
        if self._scalars:
            rates = (group["lr"] for group in optimizer.param_groups)
            self._scalars |= {f"lr/{part}": rate for part, rate in zip(self._parts(), rates, strict=True)}
            self._scalars["grad/norm"] = torch.linalg.vector_norm(self._norms)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm that was calculated already."""
        if gradient_clip_val:
            clip_gradients(optimizer, self._norms, gradient_clip_val)

    def on_train_start(self) -> None:
        """Warn of a slow precision; write the config's text; put what was loaded into the memory layout of today."""
        for optimizer in self.trainer.optimizers:
            match_layout(optimizer)
        self.guard.folder = Path(self.trainer.default_root_dir)
        if self.trainer.precision == "bf16-mixed" and (warning := slow_bfloat16(self.device)):
            logger.warning(warning)
        log_config(self.loggers, self.guard.folder)
        self.clock = StepClock()

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The batch is there."""
        self.clock.arrived()

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], batch_idx: int) -> None:
        """Lightning asks for the next batch."""
        self.clock.wait()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let no state become a checkpoint that was not judged."""
        self.guard.check_state(checkpoint["state_dict"], checkpoint["global_step"])

    def save_networks(self, folder: Path) -> None:
        """Write the networks into a run folder."""
        save_model(without_lora(self.depth_net), folder / "depth_net")
        if self.pose_net is not None:
            save_model(self.pose_net, folder / "pose_net")

    def _parts(self) -> dict[str, list[torch.nn.Parameter]]:
        """Parameters by the name of their learning rate."""
        encoder, decoder = self.depth_net.parameter_groups()
        parts = {"encoder": encoder} if encoder else {}  # none of a frozen one
        parts |= {"decoder": decoder}
        return parts if self.pose_net is None else parts | {"pose": list(self.pose_net.parameters())}

    def _logged(self) -> bool:
        return (self.global_step + 1) % self.trainer.log_every_n_steps == 0

    def _write_scalars(self) -> None:
        """Give the scalars of this step to the loggers."""
        self.guard.settle()  # they are read from the device in a moment anyway
        values, self._scalars = self._scalars, {}
        values |= self.clock.read(self.trainer.world_size)
        if self.device.type == "cuda":
            values["mem/gpu_peak"] = torch.cuda.max_memory_allocated(self.device) / 2**30  # [GiB]
        write_scalars(
            self.loggers,
            values,
            step=self.global_step,
            epoch=self.current_epoch,
            device=self.device,
            mean=lambda numbers: self.trainer.strategy.reduce(numbers, reduce_op="mean"),
        )


def mirror_back(maps: Tensor, flipped: Tensor) -> Tensor:
    """Maps (B, C, H, W) of a batch of which some inputs were mirrored, back in the un-mirrored geometry.

    Args:
        maps: what the network made of the inputs.
        flipped: which inputs were mirrored, bool (B,).
    """
    return torch.where(flipped[:, None, None, None], maps.flip(-1), maps)
