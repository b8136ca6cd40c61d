"""Translation of the config's training frames."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ude.config import ConfigError, dump_config
from ude.config.values import AUTO
from ude.data.folders.intrinsics_json import NAME
from ude.files import exit_on_terminate, write_json, write_text
from ude.translation.blank import BlankFrames
from ude.translation.references import References
from ude.translation.run import Networks, Options, QualityOptions, Shard, Summary, translate_frames

from .identity import identity, upstream_runs
from .sources import training_source
from .training import run_folder
from .translators import (
    captioner,
    conditions,
    control_depth,
    image_prompts,
    own_device,
    own_dtype,
    references,
    require_compiler,
    takes_depth,
    translator,
)

_QUALITY = ("ENABLED", "ATTEMPTS", "STRUCTURE", "DEPTH")
_SIMULATED = (
    *("KIND", "SIZE", "DEPTH_MODEL", "DEPTH_TILES"),
    *(f"QUALITY.{key}" for key in _QUALITY),
)
_WEIGHTS = ("BASE_MODEL", "VAE", "CONTROL", "EDGES", "IP_ADAPTER", "LORA")
_DIFFUSION = (
    *_WEIGHTS,
    *("PIPELINE", "CONTROL_SCALE", "EDGES_SCALE", "CAPTIONER", "LORA_WEIGHTS", "LORA_SCALE"),
    *("IP_ADAPTER_WEIGHTS", "IP_ADAPTER_FOLDER", "IP_ADAPTER_ENCODER", "IP_ADAPTER_SCALE"),
    *("SCHEDULER", "TIMESTEP_SPACING", "STEPS", "GUIDANCE_SCALE", "IMAGE_GUIDANCE_SCALE", "STRENGTH", "DTYPE"),
)


def translate(cfg: CfgNode, *, shard: Shard | None = None, progress: bool = True) -> Summary:
    """Translate the training frames into every condition of the config; what is done already stays.

    Args:
        cfg: the config.
        shard: which part of the frames; None for the one that RANK and WORLD_SIZE name, or all.
        progress: show progress bars.

    Raises:
        ConfigError: keys contradict each other; before anything is loaded.
    """
    options, folder = cfg.TRANSLATOR, run_folder(cfg)
    shard = shard or _shard_of_environment()
    table, drawn, with_depth = conditions(cfg), references(cfg), takes_depth(cfg)
    require_compiler(cfg)
    made_from = translation_identity(cfg)
    captioned = options.KIND == "diffusion" and bool(options.CAPTIONER)
    with exit_on_terminate():
        summary = translate_frames(
            BlankFrames(options.GENERATE, options.SIZE) if options.GENERATE else training_source(cfg),
            Networks(
                translator=lambda: translator(cfg),
                depth=(lambda: control_depth(cfg)) if with_depth else None,
                captioner=(lambda: captioner(cfg)) if captioned else None,
            ),
            Options(
                size=options.SIZE,
                seed=cfg.SEED,
                batch_size=options.BATCH_SIZE,
                quality=_quality(options.QUALITY),
                prompts=options.KIND == "diffusion",
                image_prompts=image_prompts(cfg),
                matched=options.MATCH_BRIGHTNESS,
                device=own_device(cfg),
                progress=progress,
            ),
            conditions=[table[name] for name in options.CONDITIONS],
            output=folder,
            config_hash=made_from["config_hash"],
            condition_hashes=condition_hashes(cfg, drawn),
            references=drawn,
            shard=shard,
        )
    write_text(folder / "config.yaml", dump_config(cfg))
    write_json(folder / "version.json", made_from)
    if options.GENERATE:
        _describe_as_image_folders(folder, cfg)
    return summary


def translation_identity(cfg: CfgNode) -> dict[str, Any]:
    """What all images are made from: every key that changes them.

    The batch size, the list of conditions and what only saves time or memory change none.

    Args:
        cfg: the config.
    """
    diffusion = cfg.TRANSLATOR.KIND == "diffusion"
    keys, parts = _SIMULATED, ()
    if diffusion:
        keys, parts = _SIMULATED + _DIFFUSION, _WEIGHTS
        cfg = cfg.clone()
        cfg.defrost()
        cfg.TRANSLATOR.DTYPE = own_dtype(cfg)
    sections = ("SEED", "DATA.SOURCE", "DATA.ROOT", "DATA.CROP", *(f"TRANSLATOR.{key}" for key in keys))
    return identity(cfg, sections, upstream_runs(cfg, parts))


def condition_hashes(cfg: CfgNode, drawn: References | None) -> dict[str, str]:
    """What the images of each condition are made from besides: its words and limits, its references and their use.

    Args:
        cfg: the config.
        drawn: its references.
    """
    table, hashes = conditions(cfg), {}
    for name in cfg.TRANSLATOR.CONDITIONS:
        condition, files = table[name], [] if drawn is None else drawn.names.get(name, [])
        parts = [condition.phrases, condition.negative, sorted(condition.limits.items())]
        parts += [{file: drawn.sha256(f"{name}/{file}") for file in files}, name in cfg.TRANSLATOR.MATCH_BRIGHTNESS]
        hashes[name] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    return hashes


def _describe_as_image_folders(folder: Path, cfg: CfgNode) -> None:
    """Make the folder of each condition one that DATA.SOURCE image_folder reads.

    Made-up images have no camera; they get the intrinsics of one that sees 60 degrees to the sides, for which nothing
    that learns relative depth asks.
    """
    height, width = cfg.TRANSLATOR.SIZE
    focal_length = width / 2 / math.tan(math.radians(30))
    K = [[focal_length, 0.0, (width - 1) / 2], [0.0, focal_length, (height - 1) / 2], [0.0, 0.0, 1.0]]
    for name in cfg.TRANSLATOR.CONDITIONS:
        write_json(folder / name / NAME, {"K": K, "size": [height, width]})


def _quality(options: CfgNode) -> QualityOptions:
    structure = None if options.STRUCTURE == AUTO else float(options.STRUCTURE)
    return QualityOptions(options.ENABLED, options.ATTEMPTS, structure, options.DEPTH)


def _shard_of_environment() -> Shard:
    try:
        return Shard.of_environment()
    except ValueError as error:
        raise ConfigError(f"{error}; correct the environment, or give --shard i/n") from error
