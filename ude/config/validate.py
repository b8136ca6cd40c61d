"""What the values of a configuration must be beyond their type, and which contradict each other."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from yacs.config import CfgNode

from .values import AUTO

CHOICES = {
    "STAGE": ("teacher", "student"),
    "DATA.SOURCE": ("nuscenes", "robotcar", "kitti", "drivingstereo", "cityscapes", "image_folder"),
    "DATA.RULES": ("corrected", "md4all"),
    "DATA.ON_ERROR": ("raise", "skip"),
    "TRANSLATOR.KIND": ("simulated", "diffusion"),
    "TRANSLATOR.PIPELINE": (
        *("StableDiffusionControlNetPipeline", "StableDiffusionControlNetImg2ImgPipeline"),
        *("StableDiffusionAdapterPipeline", "StableDiffusionInstructPix2PixPipeline"),
        *("StableDiffusionXLControlNetPipeline", "StableDiffusionXLControlNetImg2ImgPipeline"),
        *("StableDiffusionXLControlNetUnionPipeline", "StableDiffusionXLControlNetUnionImg2ImgPipeline"),
        "StableDiffusionXLAdapterPipeline",
    ),
    "TRANSLATOR.SCHEDULER": (
        *("UniPCMultistepScheduler", "DPMSolverMultistepScheduler", "DDIMScheduler", "EulerDiscreteScheduler"),
        *("EulerAncestralDiscreteScheduler", "LCMScheduler", "TCDScheduler"),
    ),
    "TRANSLATOR.TIMESTEP_SPACING": ("", "leading", "trailing", "linspace"),
    "TRANSLATOR.DTYPE": ("auto", "float32", "float16", "bfloat16"),
    "FINETUNE.KIND": ("lora", "controlnet", "both", "scratch"),
    "MODEL.DEPTH.BACKBONE": (
        *("tiny", "resnet_small", "resnet18", "resnet50", "dinov2_vits14", "dinov2_vitb14", "dinov2_vitl14"),
        *("dinov2_vits14_last4", "dinov2_vitb14_last4", "dinov2_vitl14_last4"),
    ),
    "MODEL.DEPTH.NORMALISATION": (
        *("imagenet", "monodepth2", "md4all_nuscenes_day", "md4all_nuscenes_night"),
        *("md4all_robotcar_day", "md4all_robotcar_night"),
    ),
    "MODEL.DEPTH.NUM_SCALES": (1, 2, 3, 4),
    "MODEL.POSE": ("learned", "ego"),
    "LOSS.RELIABILITY": ("teacher_better", "as_printed", "off"),
    "SOLVER.SCHEDULE": ("linear", "constant"),
    "RUN.ACCELERATOR": ("auto", "cpu", "gpu", "cuda", "mps"),
    "RUN.PRECISION": ("32-true", "bf16-mixed", "16-mixed"),
    "EVAL.PROTOCOL": ("md4all", "ude", "kitti_eigen", "kitti_garg"),
    "EVAL.ALIGNMENT": ("median", "least_squares"),
}

_AT_LEAST_1 = [
    "TRANSLATOR.BATCH_SIZE",
    "TRANSLATOR.STEPS",
    "TRANSLATOR.DEPTH_TILES",
    "TRANSLATOR.QUALITY.ATTEMPTS",
    "FINETUNE.STEPS",
    "FINETUNE.BATCH_SIZE",
    "FINETUNE.MAX_FRAMES",
    "FINETUNE.RANK",
    "FINETUNE.AUTOENCODER_STEPS",
    "FINETUNE.AUTOENCODER_WIDTH",
    "FINETUNE.LATENT_CHANNELS",
    "SOLVER.EPOCHS",
    "SOLVER.BATCH_SIZE",
    "RUN.DEVICES",
    "RUN.LOG_EVERY",
    "RUN.CHECKPOINT_EVERY",
    "EVAL.BATCH_SIZE",
]
_AT_LEAST_0 = [
    "FINETUNE.WARMUP",
    "FINETUNE.GRAD_CLIP",
    "DATA.MIN_SPEED",
    "TRANSLATOR.GUIDANCE_SCALE",
    "TRANSLATOR.CONTROL_SCALE",
    "TRANSLATOR.EDGES_SCALE",
    "TRANSLATOR.IP_ADAPTER_SCALE",
    "TRANSLATOR.LORA_SCALE",
    "TRANSLATOR.IMAGE_GUIDANCE_SCALE",
    "TRANSLATOR.QUALITY.DEPTH",
    "LOSS.PHOTOMETRIC",
    "LOSS.SMOOTHNESS",
    "LOSS.VELOCITY",
    "LOSS.DISTILLATION",
    "LOSS.SEMANTIC",
    "SOLVER.LR_ENCODER",
    "SOLVER.LR_DECODER",
    "SOLVER.LR_POSE",
    "SOLVER.WEIGHT_DECAY",
    "SOLVER.WARMUP",
    "SOLVER.GRAD_CLIP",
    "RUN.NUM_WORKERS",
    "RUN.IMAGES_EVERY",
]
_SMALLEST_SIDE = {"resnet18": 33, "resnet50": 33}
"""Image side [px] by MODEL.DEPTH.BACKBONE below which the network's coarsest map has no border to mirror."""

_FOLDER_NAME = re.compile(r"(?!\.{1,2}$)[^/\\\x00]+")
_WORD = re.compile(r"[a-z0-9_-]+")


def _size(multiple: int) -> Callable[[tuple[int, int]], bool]:
    return lambda size: all(length > 0 and length % multiple == 0 for length in size)


def _distinct(items: tuple) -> bool:
    return len(items) > 0 and len(set(items)) == len(items)


def _conditions(names: tuple[str, ...]) -> bool:
    return _distinct(names) and all(_WORD.fullmatch(name) for name in names)


_RULES: dict[str, tuple[Callable[[Any], object], list[str]]] = {
    "a folder name without / and \\": (_FOLDER_NAME.fullmatch, ["NAME"]),
    "the name of a folder": (len, ["OUTPUT_DIR", "DATA.ROOT"]),
    "text that is not empty": (len, ["DATA.VERSION", "DATA.SPLIT_TRAIN", "DATA.SPLIT_VAL"]),
    "(height, width), both positive multiples of 32": (_size(32), ["DATA.SIZE"]),
    "(height, width), both positive multiples of 8": (_size(8), ["TRANSLATOR.SIZE"]),
    "(height, width), both positive": (_size(1), ["MODEL.DEPTH.INPUT_SIZE"]),
    "(top, left, height, width) with positive height and width, or four times 0": (
        lambda v: not any(v) or (min(v) >= 0 and min(v[2:]) > 0),
        ["DATA.CROP"],
    ),
    "different whole numbers other than 0": (lambda v: _distinct(v) and 0 not in v, ["DATA.FRAME_OFFSETS"]),
    "different words of a-z, 0-9, _ and -": (
        _conditions,
        ["DATA.TRANSLATED.CONDITIONS", "TRANSLATOR.CONDITIONS", "FINETUNE.CONDITIONS"],
    ),
    "four strengths of at least 0, the last (hue) at most 0.5": (
        lambda v: min(v) >= 0 and v[3] <= 0.5,
        ["DATA.COLOR_JITTER"],
    ),
    "between 0 and 1": (
        lambda v: 0 <= v <= 1,
        [
            "DATA.FLIP_PROB",
            "DATA.NOISE_PROB",
            "DATA.MAX_SKIPPED",
            "FINETUNE.FLIP_PROB",
            "LOSS.SSIM_WEIGHT",
            "TRANSLATOR.QUALITY.MAX_REJECTED",
        ],
    ),
    "above 0 and at most 1": (lambda v: 0 < v <= 1, ["LOSS.SEMANTIC_MARGIN", "TRANSLATOR.STRENGTH"]),
    f'"{AUTO}" or between 0 and 1': (lambda v: v == AUTO or 0 <= v <= 1, ["DATA.TRANSLATED.PROB"]),
    f'"{AUTO}" or between -1 and 1': (lambda v: v == AUTO or -1 <= v <= 1, ["TRANSLATOR.QUALITY.STRUCTURE"]),
    "at least 1": (lambda v: v >= 1, _AT_LEAST_1),
    "above 0": (lambda v: v > 0, ["FINETUNE.LR", "FINETUNE.LR_AUTOENCODER", "MODEL.DEPTH.MIN", "EVAL.MIN_DEPTH"]),
    "positive multiples of 16": (lambda v: v and _size(16)(v), ["FINETUNE.WIDTHS"]),
    "at least 0 and below 1": (lambda v: 0 <= v < 1, ["FINETUNE.AVERAGE"]),
    "at least 0": (lambda v: v >= 0, _AT_LEAST_0),
    "between 0 and 4294967295": (lambda v: 0 <= v < 2**32, ["SEED"]),
    "-1 (by SOLVER.EPOCHS) or at least 1": (lambda v: v == -1 or v >= 1, ["RUN.MAX_STEPS"]),
}


def problems_of(config: CfgNode) -> Iterator[tuple[str, str]]:
    """The (dotted key, problem) pairs of a configuration whose types are right."""
    for key, choices in CHOICES.items():
        if _value(config, key) not in choices:
            yield key, f"must be one of {', '.join(map(str, choices))}, got {_value(config, key)!r}"
    for meaning, (valid, keys) in _RULES.items():
        for key in keys:
            if not valid(_value(config, key)):
                yield key, f"must be {meaning}, got {_value(config, key)!r}"
    yield from _contradictions(config)


def _contradictions(config: CfgNode) -> Iterator[tuple[str, str]]:
    if config.MODEL.DEPTH.MAX <= config.MODEL.DEPTH.MIN:
        yield "MODEL.DEPTH.MAX", _above("MODEL.DEPTH.MIN", config.MODEL.DEPTH.MIN, config.MODEL.DEPTH.MAX)
    smallest = _SMALLEST_SIDE.get(config.MODEL.DEPTH.BACKBONE, 1)
    if 0 < min(config.MODEL.DEPTH.INPUT_SIZE) < smallest:
        meaning = f"(height, width), both at least {smallest} with the backbone {config.MODEL.DEPTH.BACKBONE}"
        yield "MODEL.DEPTH.INPUT_SIZE", f"must be {meaning}, got {config.MODEL.DEPTH.INPUT_SIZE}"
    if config.MODEL.DEPTH.WEIGHTS and not config.MODEL.DEPTH.PRETRAINED:
        yield "MODEL.DEPTH.WEIGHTS", f"must be '' without MODEL.DEPTH.PRETRAINED, got {config.MODEL.DEPTH.WEIGHTS!r}"
    if config.DATA.CACHE_ON_DEVICE and not config.DATA.CACHE_ROOT:
        yield "DATA.CACHE_ON_DEVICE", "must be false without DATA.CACHE_ROOT, whose frames it would keep"
    if config.EVAL.MAX_DEPTH <= config.EVAL.MIN_DEPTH:
        yield "EVAL.MAX_DEPTH", _above("EVAL.MIN_DEPTH", config.EVAL.MIN_DEPTH, config.EVAL.MAX_DEPTH)
    if config.STAGE == "student":
        yield from _contradictions_of_student(config)
    if config.TRANSLATOR.KIND == "diffusion":
        yield from _contradictions_of_diffusion(config.TRANSLATOR)


def _contradictions_of_student(config: CfgNode) -> Iterator[tuple[str, str]]:
    if not config.MODEL.TEACHER:
        yield "MODEL.TEACHER", "must be the run folder of the teacher when STAGE is student, got ''"
    if not config.DATA.TRANSLATED.ROOT:
        yield "DATA.TRANSLATED.ROOT", "must be a folder of tools/translate.py when STAGE is student, got ''"
    if config.MODEL.INIT_FROM_TEACHER and config.MODEL.DEPTH.WEIGHTS:
        yield "MODEL.DEPTH.WEIGHTS", "must be '' when the student starts from its teacher (MODEL.INIT_FROM_TEACHER)"


def _contradictions_of_diffusion(translator: CfgNode) -> Iterator[tuple[str, str]]:
    if not translator.DEPTH_MODEL and (translator.CONTROL or translator.QUALITY.DEPTH):
        yield "TRANSLATOR.DEPTH_MODEL", "must name a depth model, which steers the diffusion, got ''"
    if translator.IP_ADAPTER and not translator.REFERENCES:
        yield "TRANSLATOR.REFERENCES", "must be a folder of images for the IP-Adapter (or set IP_ADAPTER \"\"), got ''"
    for part in ("IP_ADAPTER", "LORA"):
        file = translator[f"{part}_WEIGHTS"]
        if translator[part] and not file.endswith(".safetensors"):
            yield f"TRANSLATOR.{part}_WEIGHTS", f"must end in .safetensors, got {file!r}"
    yield from _contradictions_with_pipeline(translator, translator.PIPELINE)


def _contradictions_with_pipeline(translator: CfgNode, pipeline: str) -> Iterator[tuple[str, str]]:
    edited, control, edges = "Pix2Pix" in pipeline, translator.CONTROL, translator.EDGES
    if bool(control) == edited:
        meaning = "'', as the day frame itself steers" if edited else "the depth network of"
        yield "TRANSLATOR.CONTROL", f"must be {meaning} {pipeline}, got {control!r}"
    if edges and ("ControlNet" not in pipeline or ("Union" in pipeline and edges != control)):
        meaning = "'' or the same as TRANSLATOR.CONTROL" if "Union" in pipeline else "''"
        yield "TRANSLATOR.EDGES", f"must be {meaning} with {pipeline}, got {edges!r}"
    if translator.IP_ADAPTER and pipeline == "StableDiffusionAdapterPipeline":
        yield "TRANSLATOR.IP_ADAPTER", f"must be '' with {pipeline}, which takes no image prompt"
    if edited and translator.GUIDANCE_SCALE > 1 > translator.IMAGE_GUIDANCE_SCALE:
        yield "TRANSLATOR.IMAGE_GUIDANCE_SCALE", f"must be at least 1, below which {pipeline} is not guided at all"
    if "Img2Img" in pipeline and int(translator.STEPS * translator.STRENGTH) < 1:
        yield "TRANSLATOR.STRENGTH", "must leave at least one of TRANSLATOR.STEPS to run"
    if pipeline == "StableDiffusionXLAdapterPipeline" and not _size(16)(translator.SIZE):
        yield "TRANSLATOR.SIZE", f"must be in multiples of 16 with {pipeline}, got {translator.SIZE}"


def _above(other: str, bound: float, value: float) -> str:
    return f"must be above {other} ({bound}), got {value}"


def _value(config: CfgNode, key: str) -> Any:
    for name in key.split("."):
        config = config[name]
    return config
