"""Translation of a whole data set: stages, resume, shards, quality gate, manifest."""

from .judging import QualityOptions
from .shards import Shard
from .translate import Networks, Options, Summary, translate_frames

__all__ = ["Networks", "Options", "QualityOptions", "Shard", "Summary", "translate_frames"]
