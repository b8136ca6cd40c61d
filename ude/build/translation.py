"""Translation of the config's training frames."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from yacs.config import CfgNode

from ude.config import ConfigError, dump_config
from ude.files import write_json, write_text
from ude.models import DepthNet
from ude.models.checkpoint import load_depth_net, looks_like_hub_id
from ude.models.foundation import FoundationDepth
from ude.translation.conditions import CONDITIONS, Condition
from ude.translation.references import References
from ude.translation.run import Summary, translate_frames
from ude.translation.translator import Translator

from .evaluation import device
from .frames import training_source
from .identity import identity, naming
from .training import run_folder

_SIMULATED = ("KIND", "SIZE", "DEPTH_MODEL")
_DIFFUSION = (
    *("BASE_MODEL", "CONTROL", "CONTROL_SCALE", "IP_ADAPTER", "IP_ADAPTER_WEIGHTS", "IP_ADAPTER_SCALE"),
    *("REFERENCES", "STEPS", "GUIDANCE_SCALE"),
)


def translator(cfg: CfgNode) -> Translator:
    """The translator of the config: simulated, or diffusion with the weights that it names."""
    options = cfg.TRANSLATOR
    if options.KIND == "simulated":
        from ude.translation.simulated import SimulatedTranslator

        return SimulatedTranslator()
    from ude.translation.diffusion import DiffusionTranslator

    return DiffusionTranslator(
        options.BASE_MODEL,
        control=options.CONTROL,
        ip_adapter=options.IP_ADAPTER,
        ip_adapter_weights=options.IP_ADAPTER_WEIGHTS,
        size=options.SIZE,
        steps=options.STEPS,
        guidance_scale=options.GUIDANCE_SCALE,
        control_scale=options.CONTROL_SCALE,
        ip_adapter_scale=options.IP_ADAPTER_SCALE,
        device=device(cfg),
    )


def control_depth(cfg: CfgNode) -> Callable[[Tensor], Tensor]:
    """Images (B, 3, H, W) in [0, 1] to inverse depth (B, 1, H, W): the config's teacher run or foundation model."""
    name = cfg.TRANSLATOR.DEPTH_MODEL
    foundation = looks_like_hub_id(name) or (Path(name) / "preprocessor_config.json").is_file()
    with naming("TRANSLATOR.DEPTH_MODEL"):
        network = FoundationDepth(name) if foundation else load_depth_net(name)
    network = network.to(device(cfg))

    @torch.inference_mode()
    def inverse_depth(images: Tensor) -> Tensor:
        prediction = network(images.to(device(cfg)))
        found = prediction.inverse_depths[0] if isinstance(network, DepthNet) else prediction
        return found.to(images.device)

    return inverse_depth


def translate(cfg: CfgNode, *, progress: bool = True) -> Summary:
    """Translate the training frames into every condition of the config; what is done already stays."""
    options, folder = cfg.TRANSLATOR, run_folder(cfg)
    if not options.DEPTH_MODEL:
        raise ConfigError("TRANSLATOR.DEPTH_MODEL is empty; name a teacher's run folder, or a depth model's hub id")
    conditions = [_condition(name) for name in options.CONDITIONS]
    references = options.REFERENCES if options.KIND == "diffusion" and options.IP_ADAPTER else None
    if references is not None:  # before gigabytes of weights are asked for
        with naming("TRANSLATOR.REFERENCES"):
            References(references, options.CONDITIONS)
    made_from = identity(cfg, _translated_from(options.KIND), [Path(options.DEPTH_MODEL) / "version.json"])
    source, depth = training_source(cfg), control_depth(cfg)
    summary = translate_frames(
        source,
        translator(cfg),
        conditions=conditions,
        output=folder,
        size=options.SIZE,
        depth=depth,
        seed=cfg.SEED,
        batch_size=options.BATCH_SIZE,
        config_hash=made_from["config_hash"],
        references=references,
        progress=progress,
    )
    write_text(folder / "config.yaml", dump_config(cfg))
    write_json(folder / "version.json", made_from)
    return summary


def _translated_from(kind: str) -> tuple[str, ...]:
    """The keys that change a translated image; the batch size and the list of conditions do not."""
    keys = _SIMULATED if kind == "simulated" else _SIMULATED + _DIFFUSION
    return ("SEED", "DATA.SOURCE", "DATA.ROOT", *(f"TRANSLATOR.{key}" for key in keys))


def _condition(name: str) -> Condition:
    if name not in CONDITIONS:
        raise ConfigError(f"TRANSLATOR.CONDITIONS must be among {', '.join(CONDITIONS)}, got {name}")
    return CONDITIONS[name]
