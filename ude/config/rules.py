"""What the value of each key must be beyond its type."""

import re
from collections.abc import Callable
from typing import Any

from .values import AUTO

CHOICES = {
    "STAGE": ("teacher", "student", "supervised", "adapt", "self_distillation"),
    "DATA.SOURCE": (
        *("nuscenes", "robotcar", "kitti", "drivingstereo", "cityscapes", "image_folder", "booster", "cleargrasp"),
    ),
    "DATA.RULES": ("corrected", "md4all"),
    "DATA.ON_ERROR": ("raise", "skip"),
    "TRANSLATOR.KIND": ("simulated", "diffusion"),
    "TRANSLATOR.PIPELINE": (
        *("StableDiffusionPipeline", "StableDiffusionXLPipeline"),
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
    "MODEL.DEPTH.ENCODER": ("train", "frozen", "lora"),
    "MODEL.DEPTH.NORMALISATION": (
        *("imagenet", "monodepth2", "md4all_nuscenes_day", "md4all_nuscenes_night"),
        *("md4all_robotcar_day", "md4all_robotcar_night"),
    ),
    "MODEL.DEPTH.NUM_SCALES": (1, 2, 3, 4),
    "MODEL.POSE": ("learned", "ego"),
    "LOSS.RELIABILITY": ("teacher_better", "as_printed", "off"),
    "LOSS.RELIABILITY_SOURCES": ("min", "mean"),
    "LOSS.RELIABILITY_OUT_OF_VIEW": ("compare", "keep", "drop"),
    "LOSS.SUPERVISED": ("silog", "l1"),
    "LOSS.ALIGNMENT": ("median", "least_squares"),
    "SOLVER.SCHEDULE": ("linear", "constant", "drop"),
    "RUN.ACCELERATOR": ("auto", "cpu", "gpu", "cuda", "mps"),
    "RUN.PRECISION": ("32-true", "bf16-mixed", "16-mixed"),
    "EVAL.PROTOCOL": ("md4all", "ude", "kitti_eigen", "kitti_garg", "drivingstereo", "booster", "cleargrasp"),
    "EVAL.ALIGNMENT": ("none", "median", "least_squares"),
}
"""By key, its possible values."""

RECORDED = ("day-clear", "day-rain", "night-clear", "night-rain")
"""Recording conditions of real frames, as the data layer knows them."""
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
    "MODEL.DEPTH.LORA_RANK",
    "SOLVER.EPOCHS",
    "SOLVER.BATCH_SIZE",
    "RUN.DEVICES",
    "RUN.LOG_EVERY",
    "RUN.CHECKPOINT_EVERY",
    "RUN.MONITOR_EVERY",
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
    "LOSS.GRADIENT_MATCHING",
    "LOSS.FEATURES",
    "LOSS.AGREEMENT_BETA",
    "LOSS.AGREEMENT_EPS",
    "LOSS.HISTOGRAM",
    "LOSS.ORDINAL",
    "LOSS.RELIABILITY_MARGIN",
    "LOSS.RELIABILITY_REGIONS",
    "SOLVER.LR_ENCODER",
    "SOLVER.LR_DECODER",
    "SOLVER.LR_POSE",
    "SOLVER.WEIGHT_DECAY",
    "SOLVER.WARMUP",
    "TRANSLATOR.GENERATE",
    "SOLVER.DROP_AT",
    "SOLVER.GRAD_CLIP",
    "RUN.NUM_WORKERS",
    "RUN.IMAGES_EVERY",
]
_FOLDER_NAME = re.compile(r"(?!\.{1,2}$)[^/\\\x00]+")
_WORD = re.compile(r"[a-z0-9_-]+")


def size_in(multiple: int) -> Callable[[tuple[int, int]], bool]:
    """A test whether both sides of a size are positive multiples of a number."""
    return lambda size: all(length > 0 and length % multiple == 0 for length in size)


def _distinct(items: tuple) -> bool:
    return len(items) > 0 and len(set(items)) == len(items)


def _conditions(names: tuple[str, ...]) -> bool:
    return _distinct(names) and all(_WORD.fullmatch(name) for name in names)


def _recording_conditions(names: tuple[str, ...]) -> bool:
    return len(set(names)) == len(names) and set(names) <= {*RECORDED}


RULES: dict[str, tuple[Callable[[Any], object], list[str]]] = {
    "a folder name without / and \\": (_FOLDER_NAME.fullmatch, ["NAME"]),
    "the name of a folder": (len, ["OUTPUT_DIR", "DATA.ROOT"]),
    "text that is not empty": (len, ["DATA.VERSION", "DATA.SPLIT_TRAIN", "DATA.SPLIT_VAL", "MODEL.ORDINAL"]),
    "(height, width), both positive multiples of 32": (size_in(32), ["DATA.SIZE"]),
    "(height, width), both positive multiples of 8": (size_in(8), ["TRANSLATOR.SIZE"]),
    "(height, width), both positive": (size_in(1), ["MODEL.DEPTH.INPUT_SIZE"]),
    "(top, left, height, width) with positive height and width, or four times 0": (
        lambda v: not any(v) or (min(v) >= 0 and min(v[2:]) > 0),
        ["DATA.CROP"],
    ),
    "different whole numbers other than 0": (lambda v: len(set(v)) == len(v) and 0 not in v, ["DATA.FRAME_OFFSETS"]),
    "different words of a-z, 0-9, _ and -": (
        _conditions,
        ["DATA.TRANSLATED.CONDITIONS", "TRANSLATOR.CONDITIONS", "FINETUNE.CONDITIONS"],
    ),
    f"different ones of {', '.join(RECORDED)}": (_recording_conditions, ["DATA.CONDITIONS"]),
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
            "LOSS.SUPERVISED_VARIANCE",
            "TRANSLATOR.QUALITY.MAX_REJECTED",
        ],
    ),
    "above 0 and at most 1": (lambda v: 0 < v <= 1, ["LOSS.SEMANTIC_MARGIN", "TRANSLATOR.STRENGTH"]),
    f'"{AUTO}" or between 0 and 1': (lambda v: v == AUTO or 0 <= v <= 1, ["DATA.TRANSLATED.PROB"]),
    f'"{AUTO}" or between -1 and 1': (lambda v: v == AUTO or -1 <= v <= 1, ["TRANSLATOR.QUALITY.STRUCTURE"]),
    "at least 1": (lambda v: v >= 1, _AT_LEAST_1),
    "above 0": (lambda v: v > 0, ["FINETUNE.LR", "FINETUNE.LR_AUTOENCODER", "MODEL.DEPTH.MIN", "EVAL.MIN_DEPTH"]),
    "positive multiples of 16": (lambda v: v and size_in(16)(v), ["FINETUNE.WIDTHS"]),
    "at least 0 and below 1": (lambda v: 0 <= v < 1, ["FINETUNE.AVERAGE"]),
    "at least 0": (lambda v: v >= 0, _AT_LEAST_0),
    "between 0 and 4294967295": (lambda v: 0 <= v < 2**32, ["SEED"]),
    "-1 (by SOLVER.EPOCHS) or at least 1": (lambda v: v == -1 or v >= 1, ["RUN.MAX_STEPS"]),
}
"""What else a value must be: the words of it to a test and the keys that it is for."""
