"""Random numbers of a training step, fixed by the seed of its batch."""

import torch

from ude.data.seeds import derived_seed


def generator_for(purpose: str, seed: int) -> torch.Generator:
    """Generator of one purpose in a step, unrelated to those of all others.

    Two generators with the same seed would draw the same noise: the noise in a latent would tell the noise on it.

    Args:
        purpose: what is drawn, such as ``noise``.
        seed: of the batch.
    """
    return torch.Generator().manual_seed(derived_seed(purpose, seed))
