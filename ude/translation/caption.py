"""Captions of day frames by BLIP-2 or BLIP.

Source of the models: BLIP-2, https://arxiv.org/abs/2301.12597; BLIP, https://arxiv.org/abs/2201.12086.
"""

import torch
from torch import Tensor

from ude.files import DataError
from ude.models.checkpoint import from_hub, whole_from_hub

MAX_TOKENS = 30  # of a caption; the prompt has room for 77 with the condition's phrase
_TYPES = ("blip-2", "blip")  # they caption without a question


class Captioner:
    """Captions of images, the same for an image in any batch: the likeliest word each time, nothing drawn.

    Args:
        name: hub id or local folder of a BLIP-2 or BLIP, such as `Salesforce/blip2-opt-2.7b` or, at a sixteenth of the
            size, `Salesforce/blip-image-captioning-base`.
        device: where it runs.
        dtype: type of its weights; half precision suits GPUs only.

    Raises:
        DataError: when it is neither on disk, cached nor reachable, is damaged, of another kind, or needs code from
            its folder.
    """

    def __init__(
        self, name: str, *, device: torch.device | str = "cpu", dtype: torch.dtype | str = torch.float32
    ) -> None:
        from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

        found = from_hub(AutoConfig, str(name), trust_remote_code=False).model_type  # before gigabytes are read
        if found not in _TYPES:
            raise DataError(
                f"{name} holds a {found}, which does not caption without a question; choose a BLIP-2 or BLIP, such as "
                "Salesforce/blip-image-captioning-base"
            )
        self.device, self.dtype = torch.device(device), getattr(torch, dtype) if isinstance(dtype, str) else dtype
        self.processor = from_hub(AutoProcessor, str(name), trust_remote_code=False)
        model = whole_from_hub(AutoModelForImageTextToText, str(name))
        self.model = model.to(self.device, self.dtype).eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> list[str]:
        """One caption per image of a batch (B, 3, H, W) in [0, 1]; it may be empty."""
        pixels = self.processor(images=list(images), do_rescale=False, return_tensors="pt")["pixel_values"]
        tokens = self.model.generate(
            pixel_values=pixels.to(self.device, self.dtype), max_new_tokens=MAX_TOKENS, do_sample=False, num_beams=1
        )
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]
