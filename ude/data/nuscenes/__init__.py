"""nuScenes: its tables, an index of them, and the source of frames."""

from .index import is_official_split
from .source import NuScenesFrames

__all__ = ["NuScenesFrames", "is_official_split"]
