"""The plain way to translate a data set: one image at a time through a pipeline of diffusers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ude.data.images import read_rgb
from ude.translation.depth_control import depth_control
from ude.translation.references import References


class Files:
    """Frames as JPEG files, in the part of `FrameSource` that the translation reads.

    Args:
        folder: is made.
        images: (N, 3, H, W) in [0, 1].
    """

    def __init__(self, folder: Path, images: Tensor) -> None:
        self.paths = [folder / f"frame-{number:03d}.jpg" for number in range(len(images))]
        folder.mkdir()
        for path, image in zip(self.paths, images, strict=True):
            write_jpeg(path, image)

    def __len__(self) -> int:
        return len(self.paths)

    def frame_id(self, index: int) -> str:
        """Name of the frame."""
        return self.paths[index].stem

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels, uint8 (H, W, 3)."""
        return read_rgb(self.paths[index])


class PlainLoop:
    """The yardstick: file by file through a pipeline of diffusers as it is loaded.

    Args:
        source: the frames.
        references: the reference images.
        arguments: of the translator.
        depth: the depth network.
        output: folder for the results.
        rows: of the manifest of a run of ude, with seeds, prompts and references.
        negative: negative prompt.
    """

    def __init__(
        self,
        source: Files,
        references: References,
        arguments: dict[str, Any],
        depth: Callable[[Tensor], Tensor],
        output: Path,
        rows: list[dict[str, Any]],
        negative: str,
    ) -> None:
        self.paths = {path.stem: path for path in source.paths}
        self.references, self.depth, self.output = references, depth, output
        self.rows, self.negative = rows, negative
        self.size, self.steps, self.device = arguments["size"], arguments["steps"], arguments["device"]
        self.pipeline = _plain_pipeline(arguments)
        output.mkdir()

    def __call__(self) -> None:
        """Translate all frames."""
        for row in self.rows:
            write_jpeg(self.output / f"{row['frame_id']}.jpg", self.image(row)[0])

    @torch.inference_mode()
    def image(self, row: dict[str, Any]) -> Tensor:
        """One translated image (1, 3, H, W) in [0, 1]."""
        with Image.open(self.paths[row["frame_id"]]) as file:
            frame = np.asarray(file.convert("RGB").resize(self.size[::-1], Image.Resampling.LANCZOS))
        pixels = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].to(self.device).float() / 255
        return self.generated(row, self.depth(pixels))

    @torch.inference_mode()
    def generated(self, row: dict[str, Any], inverse_depth: Tensor) -> Tensor:
        """The image (1, 3, H, W) of a frame whose inverse depth is known."""
        pipeline = self.pipeline
        side = pipeline.image_encoder.config.image_size
        reference = self.references.images([row["reference"]]).to(self.device)
        reference = F.interpolate(reference, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        normal = pipeline.feature_extractor
        mean, deviation = (reference.new_tensor(v).view(1, 3, 1, 1) for v in (normal.image_mean, normal.image_std))
        present, absent = pipeline.encode_image((reference - mean) / deviation, self.device, 1)
        return pipeline(
            prompt=row["prompt"],
            negative_prompt=self.negative,
            image=depth_control(inverse_depth, self.size),
            ip_adapter_image_embeds=[torch.stack([absent, present])],
            generator=torch.Generator("cpu").manual_seed(row["seed"]),
            height=self.size[0],
            width=self.size[1],
            num_inference_steps=self.steps,
            output_type="pt",
        ).images.float()


def _plain_pipeline(arguments: dict[str, Any]) -> Any:
    """The pipeline as the examples of diffusers load it."""
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, UniPCMultistepScheduler

    dtype = getattr(torch, arguments["dtype"])
    control = ControlNetModel.from_pretrained(arguments["control"], dtype=dtype)
    pipeline = StableDiffusionControlNetPipeline.from_pretrained(
        arguments["base_model"], controlnet=control, dtype=dtype, safety_checker=None, requires_safety_checker=False
    )
    pipeline.scheduler = UniPCMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.load_ip_adapter(arguments["ip_adapter"], subfolder="models", weight_name=arguments["ip_adapter_weights"])
    pipeline.set_ip_adapter_scale(0.5)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(arguments["device"])


def write_jpeg(path: Path, image: Tensor) -> None:
    """Writes an image (3, H, W) in [0, 1]."""
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).save(path, quality=95, subsampling=0)
