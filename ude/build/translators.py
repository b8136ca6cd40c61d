"""The config's translator and what steers it: conditions, control depth, captions, references."""

import os
import shutil
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from yacs.config import CfgNode

from ude.config import ConfigError
from ude.files.paths import looks_like_hub_id
from ude.models import DepthNet
from ude.models.checkpoint import load_depth_net
from ude.models.foundation import FoundationDepth, find_foundation
from ude.translation.caption import Captioner
from ude.translation.conditions import Condition, load_conditions
from ude.translation.depth_control import tiled_inverse_depth
from ude.translation.references import References
from ude.translation.simulated.translator import WEATHERS, SimulatedTranslator
from ude.translation.translator import Translator

from .identity import naming
from .predictors import device

RESERVED = ("control", "rejected", "thumbnails")  # folders beside those of the conditions


def translator(cfg: CfgNode) -> Translator:
    """The translator of the config: simulated, or diffusion with the weights that it names."""
    options = cfg.TRANSLATOR
    if options.KIND == "simulated":
        return SimulatedTranslator()
    from ude.translation.diffusion import DiffusionTranslator

    return DiffusionTranslator(
        options.BASE_MODEL,
        size=options.SIZE,
        pipeline=options.PIPELINE,
        vae=options.VAE,
        control=options.CONTROL,
        control_scale=options.CONTROL_SCALE,
        edges=options.EDGES,
        edges_scale=options.EDGES_SCALE,
        ip_adapter=options.IP_ADAPTER,
        ip_adapter_weights=options.IP_ADAPTER_WEIGHTS,
        ip_adapter_folder=options.IP_ADAPTER_FOLDER,
        ip_adapter_encoder=options.IP_ADAPTER_ENCODER,
        ip_adapter_scale=options.IP_ADAPTER_SCALE,
        lora=options.LORA,
        lora_weights=options.LORA_WEIGHTS,
        lora_scale=options.LORA_SCALE,
        scheduler=options.SCHEDULER,
        timestep_spacing=options.TIMESTEP_SPACING,
        steps=options.STEPS,
        guidance_scale=options.GUIDANCE_SCALE,
        image_guidance_scale=options.IMAGE_GUIDANCE_SCALE,
        strength=options.STRENGTH,
        dtype=own_dtype(cfg),
        compile_networks=options.COMPILE,
        vae_slicing=options.VAE_SLICING,
        device=own_device(cfg),
    )


def conditions(cfg: CfgNode) -> Mapping[str, Condition]:
    """Every condition that the config knows, its own ones among them.

    Raises:
        ConfigError: TRANSLATOR.CONDITIONS names another one, or one that the translator cannot simulate.
    """
    options = cfg.TRANSLATOR
    with naming("TRANSLATOR.CONDITIONS_FILE"):
        table = load_conditions(options.CONDITIONS_FILE)
    known = tuple(WEATHERS) if options.KIND == "simulated" else tuple(table)
    for name in options.CONDITIONS:
        if name not in known:
            reason = "TRANSLATOR.KIND simulated knows" if name in table else "must be among"
            raise ConfigError(f"TRANSLATOR.CONDITIONS: {reason} {', '.join(known)}, got {name}")
        if name in RESERVED:
            raise ConfigError(f"TRANSLATOR.CONDITIONS: {name} is a folder of the output; choose another name")
    return table


def references(cfg: CfgNode) -> References | None:
    """Real images of the conditions that need some, None where no condition does.

    Raises:
        ConfigError: brightness is to be matched without references, or for a condition that is not translated to.
        DataError: a condition has no references.
    """
    options = cfg.TRANSLATOR
    for name in options.MATCH_BRIGHTNESS:
        if name not in options.CONDITIONS:
            raise ConfigError(f"TRANSLATOR.MATCH_BRIGHTNESS: {name} is not among TRANSLATOR.CONDITIONS")
    if options.MATCH_BRIGHTNESS and not options.REFERENCES:
        raise ConfigError("TRANSLATOR.REFERENCES is empty; name the folder of images for TRANSLATOR.MATCH_BRIGHTNESS")
    needed = options.CONDITIONS if image_prompts(cfg) else options.MATCH_BRIGHTNESS
    if not needed:
        return None
    with naming("TRANSLATOR.REFERENCES"):
        return References(options.REFERENCES, needed)


def image_prompts(cfg: CfgNode) -> bool:
    """Whether the translator takes references."""
    return cfg.TRANSLATOR.KIND == "diffusion" and bool(cfg.TRANSLATOR.IP_ADAPTER)


def takes_depth(cfg: CfgNode) -> bool:
    """Whether the translator, or the comparison of depths, needs the depth of the day frames.

    Raises:
        ConfigError: it does, and the config names no depth model.
    """
    options = cfg.TRANSLATOR
    needed = options.KIND == "simulated" or bool(options.CONTROL) or options.QUALITY.DEPTH > 0
    if needed and not options.DEPTH_MODEL:
        raise ConfigError("TRANSLATOR.DEPTH_MODEL is empty; name a teacher's run folder, or a depth model's hub id")
    return needed


def control_depth(cfg: CfgNode) -> Callable[[Tensor], Tensor]:
    """Images (B, 3, H, W) in [0, 1] to inverse depth (B, 1, H, W): the config's teacher run or foundation model."""
    name, tiles, place = cfg.TRANSLATOR.DEPTH_MODEL, cfg.TRANSLATOR.DEPTH_TILES, own_device(cfg)
    foundation = looks_like_hub_id(name) or find_foundation(name) is not None
    with naming("TRANSLATOR.DEPTH_MODEL"):
        network = FoundationDepth(name) if foundation else load_depth_net(name)
    network = network.to(place)

    def whole(images: Tensor) -> Tensor:
        prediction = network(images)
        return prediction.inverse_depths[0] if isinstance(network, DepthNet) else prediction

    @torch.inference_mode()
    def inverse_depth(images: Tensor) -> Tensor:
        on_device = images.to(place)
        found = tiled_inverse_depth(whole, on_device, tiles=tiles) if tiles > 1 else whole(on_device)
        return found.to(images.device)

    return inverse_depth


def captioner(cfg: CfgNode) -> Captioner:
    """What captions the day frames, in half precision on a GPU."""
    place = own_device(cfg)
    with naming("TRANSLATOR.CAPTIONER"):
        return Captioner(
            cfg.TRANSLATOR.CAPTIONER, device=place, dtype=torch.float32 if place == "cpu" else torch.float16
        )


def own_device(cfg: CfgNode) -> str:
    """Device of this process: of several that torchrun started, each has a GPU of its own."""
    name, rank = device(cfg), os.environ.get("LOCAL_RANK", "")
    if name == "cuda" and rank.isdecimal():
        return f"cuda:{int(rank) % torch.cuda.device_count()}"
    return name


def own_dtype(cfg: CfgNode) -> str:
    """Name of the type that the networks of the diffusion compute in."""
    if cfg.TRANSLATOR.DTYPE != "auto":
        return cfg.TRANSLATOR.DTYPE
    return "float16" if device(cfg) == "cuda" else "float32"


def require_compiler(cfg: CfgNode) -> None:
    """Check that networks can be compiled where the config asks for it.

    Raises:
        ConfigError: there is no compiler.
    """
    if cfg.TRANSLATOR.COMPILE and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise ConfigError(
            "TRANSLATOR.COMPILE needs a C++ compiler, and there is no g++ (or $CXX); set TRANSLATOR.COMPILE False"
        )
