"""Case ``translate``: a data set through the diffusion translator, the plain loop over diffusers against ude's run.

Both read JPEG files, estimate depth, generate and write JPEG files, with the same prompts, seeds and references. The
plain loop takes one image at a time, as the examples of diffusers do. Time of day is compared, since ude reads and
writes beside the diffusion. The quality gate is off: random weights give nothing that it would let pass.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch
from torch import Tensor

from ude.files import read_jsonl
from ude.models import DepthNet
from ude.translation import CONDITIONS
from ude.translation.diffusion import DiffusionTranslator
from ude.translation.references import References
from ude.translation.run import Networks, Options, QualityOptions, translate_frames

from .diffusion_networks import save_networks
from .environment import matrix_product
from .equality import Check
from .harness import Clock, Variant, clock_of
from .networks import counted_flops, depth_net
from .report import Report, Settings, measure
from .scene import street
from .translate_plain import Files, PlainLoop, write_jpeg

NIGHT = CONDITIONS["night"]
LEVEL = 1 / 255


@dataclass(frozen=True)
class Scale:
    """How much is translated.

    Attributes:
        row: of the diffusion networks.
        frame: (height, width) of the files [px].
        frames: how many.
        steps: of the denoising.
        depth: backbone of the depth network.
        dtype: of the diffusion networks.
    """

    row: str
    frame: tuple[int, int]
    frames: int
    steps: int
    depth: str
    dtype: torch.dtype


SCALES = {
    "cpu": Scale("small", (320, 576), 8, 10, "resnet_small", torch.float32),
    "cuda": Scale("sd15", (896, 1600), 16, 20, "dinov2_vits14", torch.float16),
}
SIZES = {"cpu": ((96, 160, 8),), "cuda": ((432, 768, 8),)}


@dataclass(frozen=True)
class Run:
    """A run of ude over all frames into an empty folder.

    Attributes:
        output: the folder.
        source: the frames.
        references: the reference images.
        translator: the translator, loaded.
        depth: the depth network.
        batch_size: frames per call.
        device: where the networks are.
    """

    output: Path
    source: Files
    references: References
    translator: DiffusionTranslator
    depth: Callable[[Tensor], Tensor]
    batch_size: int
    device: torch.device

    def __call__(self) -> None:
        """Translate all frames."""
        rmtree(self.output, ignore_errors=True)
        translate_frames(
            self.source,
            Networks(translator=lambda: self.translator, depth=lambda: self.depth),
            Options(
                size=self.translator.size,
                seed=0,
                batch_size=self.batch_size,
                quality=QualityOptions(enabled=False),
                image_prompts=True,
                device=str(self.device),
                progress=False,
            ),
            conditions=[NIGHT],
            output=self.output,
            config_hash="benchmark",
            references=self.references,
        )

    def rows(self) -> list[dict[str, Any]]:
        """The manifest."""
        self()
        return read_jsonl(self.output / "manifest.jsonl")


def run(settings: Settings) -> Iterator[Report]:
    """One comparison per size."""
    kind = settings.device.type
    scale = SCALES[kind]
    if settings.quick:
        scale = Scale("small", (64, 96), 3, 2, "tiny", torch.float32)
    for size, batch in settings.shapes(SIZES[kind]):
        with tempfile.TemporaryDirectory() as name:
            yield _compare(Path(name), scale, size, batch, settings)


def _compare(folder: Path, scale: Scale, size: tuple[int, int], batch: int, settings: Settings) -> Report:
    device = settings.device
    source, references = Files(folder / "frames", street(scale.frame, scale.frames).target), _references(folder)
    weights = save_networks(scale.row, folder / "weights", dtype=scale.dtype, texts=[*NIGHT.phrases, NIGHT.negative])
    dtype = str(scale.dtype).removeprefix("torch.")
    arguments = {**weights, "size": size, "steps": scale.steps, "device": device, "dtype": dtype}
    translator, depth = DiffusionTranslator(**arguments), _depth(scale.depth, size, device)
    runs = {
        f"ude, batch {rows}": Run(folder / f"ude-{rows}", source, references, translator, depth, rows, device)
        for rows in dict.fromkeys((1, batch))
    }
    if settings.compiled and device.type == "cuda":
        faster = DiffusionTranslator(**arguments, compile_networks=True)
        name = f"ude, batch {batch}, compiled"
        runs[name] = Run(folder / "compiled", source, references, faster, depth, batch, device)
    rows = runs["ude, batch 1"].rows()
    plain = PlainLoop(source, references, arguments, depth, folder / "plain", rows, NIGHT.negative)
    flops = counted_flops(lambda: plain.image(rows[0])) * len(rows)
    return measure(
        "translate",
        f"{scale.row} at {size[0]} x {size[1]}, {scale.steps} steps, {dtype}, {len(rows)} files of "
        f"{scale.frame[0]} x {scale.frame[1]}, {flops / len(rows) / 1e12:.3g} TFLOP per image",
        checks=[_same_images(plain, translator, depth, rows[:batch])],
        variants=[Variant(name, call, flops) for name, call in {"plain loop": plain, **runs}.items()],
        limit=matrix_product(device, scale.dtype),
        settings=settings,
        notes=["ratios are of wall time; the quality gate is off, as random weights give nothing to let pass"],
        images=len(rows),
        clock=_wall(device),
    )


def _same_images(
    plain: PlainLoop,
    translator: DiffusionTranslator,
    depth: Callable[[Tensor], Tensor],
    rows: list[dict[str, Any]],
) -> Check:
    """Whether a batch is what the plain loop makes of its frames one by one, before they become files."""
    frames = torch.rand(len(rows), 3, *translator.size, generator=torch.Generator().manual_seed(0))
    inverse_depth = depth(frames.to(plain.device))
    together = translator(
        frames.to(plain.device),
        condition=NIGHT,
        seeds=[row["seed"] for row in rows],
        depth=inverse_depth,
        prompts=[row["prompt"] for row in rows],
        references=plain.references.images([row["reference"] for row in rows]).to(plain.device),
    )
    alone = torch.cat([plain.generated(row, inverse_depth[i : i + 1]) for i, row in enumerate(rows)])
    bound = LEVEL if together.dtype == torch.float32 and plain.device.type == "cpu" else 10 * LEVEL
    return Check("a batch against single images, largest difference", (together - alone).abs().max().item(), bound)


def _depth(backbone: str, size: tuple[int, int], device: torch.device) -> Callable[[Tensor], Tensor]:
    network: DepthNet = depth_net(backbone, size, device, head_std=0.2).eval()

    @torch.inference_mode()
    def inverse_depth(images: Tensor) -> Tensor:
        return network(images).inverse_depths[0]

    return inverse_depth


def _references(folder: Path) -> References:
    """Four dark streets."""
    root = folder / "references"
    (root / NIGHT.name).mkdir(parents=True)
    for number, image in enumerate(street((96, 160), 4, seed=1).target):
        write_jpeg(root / NIGHT.name / f"{number}.jpg", image / 4)
    return References(root, [NIGHT.name])


def _wall(device: torch.device) -> Clock:
    """Time of day: work in other threads counts only as far as one waits for it."""
    clock = clock_of(device)
    return Clock("wall", clock.wall, clock.wall, clock.settle)
