"""Translation: day frames to night, rain, snow and fog, by simulation or by a diffusion model."""

from .conditions import CONDITIONS, Condition
from .translator import Translator, seed_of

__all__ = ["CONDITIONS", "Condition", "Translator", "seed_of"]
