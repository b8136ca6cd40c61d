"""Configuration: defaults, YAML files with `_BASE_`, overrides, validation and the common command line."""

from .errors import ConfigError
from .loader import config_hash, dump_config, load_config

__all__ = ["ConfigError", "config_hash", "dump_config", "load_config"]
