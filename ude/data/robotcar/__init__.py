"""Oxford RobotCar: preparation of the raw traverses, and the source of the prepared frames."""

from .frames import Preparation
from .outcome import UnpreparedError
from .prepare import prepare
from .prepared import read_prepared
from .source import RobotCarFrames
from .splits import SPLITS, import_md4all

__all__ = [
    "SPLITS",
    "Preparation",
    "RobotCarFrames",
    "UnpreparedError",
    "import_md4all",
    "prepare",
    "read_prepared",
]
