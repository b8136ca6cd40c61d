"""nuScenes: its tables, an index of them, and the source of frames."""

from .selection import SPLITS
from .source import NuScenesFrames

__all__ = ["SPLITS", "NuScenesFrames"]
