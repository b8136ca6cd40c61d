"""Prompts of training frames, some of them empty, as guidance needs."""

from collections.abc import Mapping, Sequence

import torch

from ..conditions import Condition


def training_prompts(
    conditions: Sequence[str],
    table: Mapping[str, Condition],
    *,
    generator: torch.Generator,
    captions: Sequence[str | None] | None = None,
) -> list[str]:
    """A prompt per frame: the first phrase of its condition and its caption, or without one a phrase by chance.

    Args:
        conditions: condition of each frame.
        table: conditions by name.
        generator: draws the phrases.
        captions: caption of each frame; None for none.
    """
    draws = torch.randint(2**31, (len(conditions),), generator=generator).tolist()
    captions = [None] * len(conditions) if captions is None else captions
    return [table[name].prompt(draw, caption) for name, draw, caption in zip(conditions, draws, captions, strict=True)]


def dropped(share: float, count: int, generator: torch.Generator) -> list[bool]:
    """Which of some prompts to leave out, each with a probability of `share`."""
    return (torch.rand(count, generator=generator) < share).tolist()


def without_some(
    prompts: Sequence[str], absent: Sequence[bool], empty: Sequence[str], generator: torch.Generator
) -> list[str]:
    """Prompts with those that are `absent` replaced by one of some texts that stand for no prompt.

    Args:
        prompts: one per frame.
        absent: which to replace.
        empty: the empty prompt, and negative prompts that guidance will put in its place.
        generator: draws among `empty`.
    """
    draws = torch.randint(len(empty), (len(prompts),), generator=generator).tolist()
    return [empty[draw] if gone else prompt for prompt, gone, draw in zip(prompts, absent, draws, strict=True)]
