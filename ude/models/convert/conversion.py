"""What all converters share: their result, and taking tensors over by name, completely or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ude.files import DataError
from ude.models.checkpoint import misfit
from ude.models.depth_net import DepthNet
from ude.models.pose_net import PoseNet


@dataclass(frozen=True)
class Conversion:
    """Networks in our form, and where they come from.

    Attributes:
        depth_net: the depth network.
        pose_net: the pose network; None where the source has none that means the same.
        files: what was read.
        tensors: number of the source's tensors by what became of them.
        notes: what a user of the result must know, one sentence each.
        night_normalisation: row of ``NORMALISATIONS`` that the source has for night frames alone; empty for none.
    """

    depth_net: DepthNet
    pose_net: PoseNet | None
    files: tuple[Path, ...]
    tensors: dict[str, int]
    notes: tuple[str, ...] = ()
    night_normalisation: str = ""


def load_renamed(model: nn.Module, state: Mapping[str, Tensor], names: Mapping[str, str], place: str | Path) -> None:
    """Load another project's tensors, which must be exactly those that the model needs.

    Args:
        model: network to change.
        state: the other project's names to tensors.
        names: the model's names to the other project's.
        place: where the state comes from, for the error.

    Raises:
        DataError: with counts and first names, when tensors are missing, unexpected or of another shape.
    """
    own = {names[name]: tensor for name, tensor in model.state_dict().items()}
    missing, unexpected = [*(own.keys() - state.keys())], [*(state.keys() - own.keys())]
    misshapen = [name for name in own.keys() & state.keys() if own[name].shape != getattr(state[name], "shape", None)]
    if missing or unexpected or misshapen:
        raise DataError(
            f"{place} has not the layout that was expected: {misfit(missing, unexpected, misshapen)}; is it complete, "
            "and of the format that you named?"
        )
    model.load_state_dict({ours: state[theirs] for ours, theirs in names.items()})


def with_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries of a state whose names start with a prefix."""
    return {name: tensor for name, tensor in state.items() if name.startswith(prefix)}


def without_classifier(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state without the layer of ResNet encoders that names ImageNet's classes, which no depth network runs."""
    classifier = ("encoder.fc.weight", "encoder.fc.bias")
    return {name: tensor for name, tensor in state.items() if not name.endswith(classifier)}
