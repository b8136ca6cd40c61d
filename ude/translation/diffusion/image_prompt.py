"""Reference images as the rows that the cross attention of an IP-Adapter reads."""

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DiffusionPipeline

CACHED = 512  # references; a large encoder's patch features are 0.7 MB each


class ImagePrompt:
    """Embeddings of references by a pipeline's image encoder, each computed once and by itself.

    One at a time, since the rounding of a batch depends on its size, and which references are new depends on the past.

    Args:
        pipeline: with an IP-Adapter.
    """

    def __init__(self, pipeline: "DiffusionPipeline") -> None:
        from diffusers.models.embeddings import ImageProjection

        self.pipeline = pipeline
        # the "plus" adapters start from the encoder's patch features
        self.patches = not isinstance(pipeline.unet.encoder_hid_proj.image_projection_layers[0], ImageProjection)
        self._cache: OrderedDict[bytes, tuple[Tensor, Tensor]] = OrderedDict()

    def __call__(self, references: Tensor, guidance: str) -> Tensor:
        """Rows (k B, 1, ...) for a batch of references (B, 3, h, w) in [0, 1].

        Args:
            references: one image per row.
            guidance: "" for no guidance (k = 1), "text" for no reference and then the reference (k = 2), "edit" for
                the reference and then twice none (k = 3): the order in which pipelines stack their batch.
        """
        pairs = [self._embeddings(reference) for reference in references]
        present, absent = (torch.stack(rows) for rows in zip(*pairs, strict=True))
        return torch.cat({"": [present], "text": [absent, present], "edit": [present, absent, absent]}[guidance])

    def _embeddings(self, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (1, ...) of one reference (3, h, w) and of no reference, from the cache if they are there."""
        content = reference.detach().cpu().contiguous()
        key = hashlib.sha256(f"{tuple(content.shape)} {content.dtype}".encode() + content.numpy().tobytes()).digest()
        if key not in self._cache:
            self._cache[key] = self._encode(reference)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]

    def _encode(self, reference: Tensor) -> tuple[Tensor, Tensor]:
        pipeline = self.pipeline
        side = pipeline.image_encoder.config.image_size
        pixels = F.interpolate(reference[None].float(), (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (
            pixels.new_tensor(values).view(1, 3, 1, 1)
            for values in (pipeline.feature_extractor.image_mean, pipeline.feature_extractor.image_std)
        )
        present, absent = pipeline.encode_image(
            (pixels - mean) / deviation, pipeline._execution_device, 1, output_hidden_states=self.patches
        )
        return present, absent
