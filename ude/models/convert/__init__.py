"""Weights of other projects as run folders of ours: md4all, monodepth2 and Depth Anything."""

from .conversion import Conversion
from .run_folder import FORMATS, convert

__all__ = ["FORMATS", "Conversion", "convert"]
