"""The gate that every translated image has to pass, and what it measures."""

from .gate import QualityGate, Verdict
from .statistics import image_statistics, mismatched_threshold, structure_correlation

__all__ = ["QualityGate", "Verdict", "image_statistics", "mismatched_threshold", "structure_correlation"]
