"""Generative Diffusion Translator: pipelines of diffusers as translators of frames."""

from .translator import DiffusionTranslator

__all__ = ["DiffusionTranslator"]
