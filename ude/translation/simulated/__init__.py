"""Weights-free translator: simulated night, rain, snow and fog."""

from .translator import SimulatedTranslator

__all__ = ["SimulatedTranslator"]
