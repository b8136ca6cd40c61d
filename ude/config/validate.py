"""What the values of a configuration must be beyond their type, and which contradict each other."""

from collections.abc import Iterator
from typing import Any

from yacs.config import CfgNode

from .defaults import defaults
from .monitored import problems_of_monitor
from .rules import CHOICES, RULES, size_in

__all__ = ["CHOICES", "problems_of"]

_SMALLEST_SIDE = {"resnet18": 33, "resnet50": 33}
"""Image side [px] by MODEL.DEPTH.BACKBONE below which the network's coarsest map has no border to mirror."""


def problems_of(config: CfgNode) -> Iterator[tuple[str, str]]:
    """The (dotted key, problem) pairs of a configuration whose types are right."""
    for key, choices in CHOICES.items():
        if _value(config, key) not in choices:
            yield key, f"must be one of {', '.join(map(str, choices))}, got {_value(config, key)!r}"
    for meaning, (valid, keys) in RULES.items():
        for key in keys:
            if not valid(_value(config, key)):
                yield key, f"must be {meaning}, got {_value(config, key)!r}"
    yield from _contradictions(config)


def _contradictions(config: CfgNode) -> Iterator[tuple[str, str]]:
    yield from _contradictions_of_network(config.MODEL.DEPTH)
    yield from _contradictions_of_solver(config.SOLVER)
    unordered = config.DATA.SOURCE == "image_folder" or config.STAGE == "adapt"  # needs no neighbours
    if not config.DATA.FRAME_OFFSETS and not unordered:
        yield "DATA.FRAME_OFFSETS", "must be different whole numbers other than 0, got ()"
    if config.DATA.CACHE_ON_DEVICE and not config.DATA.CACHE_ROOT:
        yield "DATA.CACHE_ON_DEVICE", "must be false without DATA.CACHE_ROOT, whose frames it would keep"
    if config.EVAL.MAX_DEPTH <= config.EVAL.MIN_DEPTH:
        yield "EVAL.MAX_DEPTH", _above("EVAL.MIN_DEPTH", config.EVAL.MIN_DEPTH, config.EVAL.MAX_DEPTH)
    if config.EVAL.PROTOCOL in CHOICES["DATA.SOURCE"] and config.EVAL.PROTOCOL != config.DATA.SOURCE:
        protocol, source = config.EVAL.PROTOCOL, config.DATA.SOURCE
        others = set(CHOICES["DATA.SOURCE"]) - {source}
        usable = ", ".join(name for name in CHOICES["EVAL.PROTOCOL"] if name not in others)
        yield "EVAL.PROTOCOL", f"{protocol} is for DATA.SOURCE {protocol} only; {source} takes {usable}"
    if config.STAGE == "student":
        yield from _contradictions_of_student(config)
    if config.STAGE == "adapt":
        yield from _contradictions_of_adapt(config)
    if config.STAGE == "self_distillation":
        yield from _contradictions_of_self_distillation(config)
    yield from _keys_of_other_stages(config)
    yield from problems_of_monitor(config)
    if config.TRANSLATOR.KIND == "diffusion":
        yield from _contradictions_of_diffusion(config.TRANSLATOR)


def _keys_of_other_stages(config: CfgNode) -> Iterator[tuple[str, str]]:
    if config.DATA.CONDITIONS and config.STAGE != "adapt":
        meaning = f"() when STAGE is {config.STAGE}, which learns from day-clear frames"
        yield "DATA.CONDITIONS", f"must be {meaning}, got {config.DATA.CONDITIONS}"
    if config.DATA.SQUARE_CROP and config.STAGE != "self_distillation":
        yield "DATA.SQUARE_CROP", f"must be false when STAGE is {config.STAGE}, which trains on whole frames; got true"


def _contradictions_of_network(depth: CfgNode) -> Iterator[tuple[str, str]]:
    if depth.MAX <= depth.MIN:
        yield "MODEL.DEPTH.MAX", _above("MODEL.DEPTH.MIN", depth.MIN, depth.MAX)
    smallest = _SMALLEST_SIDE.get(depth.BACKBONE, 1)
    if 0 < min(depth.INPUT_SIZE) < smallest:
        meaning = f"(height, width), both at least {smallest} with the backbone {depth.BACKBONE}"
        yield "MODEL.DEPTH.INPUT_SIZE", f"must be {meaning}, got {depth.INPUT_SIZE}"
    if depth.WEIGHTS and not depth.PRETRAINED:
        yield "MODEL.DEPTH.WEIGHTS", f"must be '' without MODEL.DEPTH.PRETRAINED, got {depth.WEIGHTS!r}"
    if depth.ENCODER == "lora" and "resnet" in depth.BACKBONE:
        yield (
            "MODEL.DEPTH.ENCODER",
            f"must be train or frozen with {depth.BACKBONE}, which has no attention; got 'lora'",
        )


def _contradictions_of_solver(solver: CfgNode) -> Iterator[tuple[str, str]]:
    if solver.SCHEDULE == "drop" and solver.DROP_AT == 0:
        yield "SOLVER.DROP_AT", "must be the number of steps before the drop when SOLVER.SCHEDULE is drop, got 0"


def _contradictions_of_student(config: CfgNode) -> Iterator[tuple[str, str]]:
    if not config.MODEL.TEACHER:
        yield "MODEL.TEACHER", "must be the run folder of the teacher when STAGE is student, got ''"
    if not config.DATA.TRANSLATED.ROOT:
        yield "DATA.TRANSLATED.ROOT", "must be a folder of tools/translate.py when STAGE is student, got ''"
    for term in ("SEMANTIC", "FEATURES"):
        if config.MODEL.DEPTH.ENCODER == "frozen" and (weight := config.LOSS[term]):
            yield f"LOSS.{term}", f"must be 0 with MODEL.DEPTH.ENCODER frozen, which it could not change, got {weight}"
    if config.MODEL.INIT_FROM_TEACHER and config.MODEL.DEPTH.WEIGHTS:
        yield "MODEL.DEPTH.WEIGHTS", "must be '' when the student starts from its teacher (MODEL.INIT_FROM_TEACHER)"
    yield from _nothing_to_learn(config)
    if config.LOSS.RELIABILITY == "off":
        for key, usual in defaults().LOSS.items():
            if key.startswith("RELIABILITY_") and (value := config.LOSS[key]) != usual:
                remedy = "leave it out, or set LOSS.RELIABILITY teacher_better"
                yield f"LOSS.{key}", f"has no effect with LOSS.RELIABILITY off, got {value!r}; {remedy}"


def _nothing_to_learn(config: CfgNode) -> Iterator[tuple[str, str]]:
    """What leaves a student without a loss, or its encoder at random weights."""
    if not any(config.LOSS[term] for term in ("DISTILLATION", "SEMANTIC", "FEATURES", "ORDINAL")):
        yield "LOSS.DISTILLATION", "must be above 0 when LOSS.SEMANTIC, FEATURES and ORDINAL are 0, too; got 0"
    fresh = not config.MODEL.INIT_FROM_TEACHER and not config.MODEL.DEPTH.PRETRAINED
    if config.MODEL.DEPTH.ENCODER == "frozen" and fresh:
        meaning = "train with random weights; or set MODEL.INIT_FROM_TEACHER or MODEL.DEPTH.PRETRAINED true"
        yield "MODEL.DEPTH.ENCODER", f"must be {meaning}, got 'frozen'"


def _contradictions_of_adapt(config: CfgNode) -> Iterator[tuple[str, str]]:
    if not config.MODEL.TEACHER:
        yield "MODEL.TEACHER", "must be the run folder of a student when STAGE is adapt, got ''"
    if not config.DATA.CONDITIONS:
        yield "DATA.CONDITIONS", "must be the recording conditions of the real frames when STAGE is adapt, got ()"
    if config.MODEL.INIT_FROM_TEACHER and config.MODEL.DEPTH.WEIGHTS:
        yield "MODEL.DEPTH.WEIGHTS", "must be '' when adapt starts from its student (MODEL.INIT_FROM_TEACHER)"


def _contradictions_of_self_distillation(config: CfgNode) -> Iterator[tuple[str, str]]:
    needed = "when STAGE is self_distillation, got ''"
    if not config.MODEL.FOUNDATION:
        yield "MODEL.FOUNDATION", f"must be a hub id or folder of a depth model {needed}"
    if not config.DATA.TRANSLATED.ROOT:
        yield "DATA.TRANSLATED.ROOT", f"must be a folder of tools/translate.py {needed}"
    if (encoder := config.MODEL.DEPTH.ENCODER) != "train":
        meaning = "train when STAGE is self_distillation, which trains all of MODEL.FOUNDATION"
        yield "MODEL.DEPTH.ENCODER", f"must be {meaning}, got {encoder!r}"


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
    worded = pipeline in ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
    if bool(control) == (edited or worded):
        steers = "the prompt alone" if worded else "the day frame itself"
        meaning = f"'', as {steers} steers" if edited or worded else "the depth network of"
        yield "TRANSLATOR.CONTROL", f"must be {meaning} {pipeline}, got {control!r}"
    if worded != (translator.GENERATE > 0):
        meaning = "at least 1" if worded else "0"
        yield "TRANSLATOR.GENERATE", f"must be {meaning} with {pipeline}, got {translator.GENERATE}"
    if worded and (translator.CAPTIONER or translator.QUALITY.ENABLED):
        keys = "TRANSLATOR.CAPTIONER must be '' and TRANSLATOR.QUALITY.ENABLED false"
        yield "TRANSLATOR.PIPELINE", f"{pipeline} has no day frames to look at: {keys}"
    if edges and ("ControlNet" not in pipeline or ("Union" in pipeline and edges != control)):
        meaning = "'' or the same as TRANSLATOR.CONTROL" if "Union" in pipeline else "''"
        yield "TRANSLATOR.EDGES", f"must be {meaning} with {pipeline}, got {edges!r}"
    if translator.IP_ADAPTER and pipeline == "StableDiffusionAdapterPipeline":
        yield "TRANSLATOR.IP_ADAPTER", f"must be '' with {pipeline}, which takes no image prompt"
    if edited and translator.GUIDANCE_SCALE > 1 > translator.IMAGE_GUIDANCE_SCALE:
        yield "TRANSLATOR.IMAGE_GUIDANCE_SCALE", f"must be at least 1, below which {pipeline} is not guided at all"
    if "Img2Img" in pipeline and int(translator.STEPS * translator.STRENGTH) < 1:
        yield "TRANSLATOR.STRENGTH", "must leave at least one of TRANSLATOR.STEPS to run"
    if pipeline == "StableDiffusionXLAdapterPipeline" and not size_in(16)(translator.SIZE):
        yield "TRANSLATOR.SIZE", f"must be in multiples of 16 with {pipeline}, got {translator.SIZE}"


def _above(other: str, bound: float, value: float) -> str:
    return f"must be above {other} ({bound}), got {value}"


def _value(config: CfgNode, key: str) -> Any:
    for name in key.split("."):
        config = config[name]
    return config
