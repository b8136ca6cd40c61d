"""Encoders that keep what they know: frozen, or changed by a low-rank addition alone.

Source: LoRA, https://arxiv.org/abs/2106.09685, through peft.
"""

from torch import nn

from .depth_net import DepthNet
from .dino_dpt import DinoDpt

_ATTENTION = ".attention."
"""Part of the names of the linear layers of attention in DINOv2: queries, keys, values and output."""


def freeze_encoder(network: DepthNet) -> None:
    """Leave the encoder as it is: no gradients, and no new statistics in its BatchNorm layers."""
    network.trunk.encoder.requires_grad_(False)
    network.train(network.training)  # a frozen encoder leaves training mode


def add_lora(network: DepthNet, rank: int) -> None:
    """Freeze the encoder but for a low-rank addition to its attention, which starts as nothing.

    Args:
        network: network of a DINOv2 row.
        rank: rank of the additions.

    Raises:
        ValueError: for a network without attention.
    """
    from peft import LoraConfig, inject_adapter_in_model

    if not isinstance(network.trunk, DinoDpt):
        raise ValueError(f"LoRA is for the attention of DINOv2, which the backbone {network.backbone} does not have")
    encoder = network.trunk.encoder
    layers = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear) and _ATTENTION in name]
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=layers, lora_dropout=0.0, bias="none")
    inject_adapter_in_model(config, encoder)


def without_lora(network: DepthNet) -> DepthNet:
    """The network with the additions merged into its weights; itself, where it has none.

    What it predicts stays the same but for rounding, and it loads without peft.
    """
    if not any(".lora_" in name for name in network.state_dict()):
        return network
    merged = DepthNet(**network.arguments)
    state = {name.replace(".base_layer.", "."): value for name, value in network.state_dict().items()}
    for name, module in network.named_modules():
        if hasattr(module, "get_delta_weight"):
            state[f"{name}.weight"] = module.base_layer.weight + module.get_delta_weight("default")
    merged.load_state_dict({name: value for name, value in state.items() if ".lora_" not in name})
    return merged.train(network.training)
