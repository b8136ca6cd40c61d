"""Monocular depth that holds at night and in rain: translate, teach, distil, evaluate."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# attribute -> its module, imported on first use, so that `import ude` stays instant
_LAZY = {
    "ConfigError": "ude.config",
    "DataError": "ude.files",
    "depth_net": "ude.build.networks",
    "evaluate_split": "ude.build.evaluation",
    "load_config": "ude.config",
    "predictor": "ude.build.predictors",
    "train": "ude.build.training",
    "translate": "ude.build.translation",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ude' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
