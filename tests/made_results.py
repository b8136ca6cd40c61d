"""Results of made-up frames, for the tests of statistics and tables."""

import numpy as np

from ude.evaluation.protocols import PROTOCOLS
from ude.evaluation.results import FrameRow, Results, results_of_frames

OF_CONDITION = {"day-clear": 0.10, "night-clear": 0.20, "day-rain": 0.15}


def made_results(
    shift: float = 0.0,
    *,
    seed: int = 0,
    scenes: int = 8,
    frames: int = 5,
    protocol: str = "md4all",
    alignment: str = "_median",
    plain: bool = True,
    max_depth: float = 80.0,
) -> Results:
    """Results of three conditions (no rainy night), each with scenes of frames, whose errors are shifted.

    The errors of a scene belong together and, apart from the shift and a little noise by seed, to every predictor.
    """
    noise, generator = np.random.default_rng(seed), np.random.default_rng(99)
    modes = ("", alignment) if alignment else ("",)
    suffixes = modes if plain else modes[1:]
    rows = []
    for condition, error in OF_CONDITION.items():
        for scene in range(scenes):
            of_scene = error + generator.normal(0, 0.02)
            for frame in range(frames):
                value = of_scene + shift + noise.normal(0, 0.002)
                names = [metric + mode for mode in suffixes for metric in PROTOCOLS[protocol].metrics]
                values = {name: 1 - value if name.startswith("delta") else value for name in names}
                frame_id, scene_name = f"{condition}-{scene}-{frame}", f"{condition}-{scene}"
                rows += _rows(frame_id, scene_name, condition, protocol, values)
    bounds = {"min_depth": 0.1, "max_depth": max_depth}
    return results_of_frames(tuple(rows), modes=modes, **bounds, protocol=protocol)


def _rows(frame_id: str, scene: str, condition: str, protocol: str, values: dict[str, float]) -> list[FrameRow]:
    """A frame, or its classes."""
    parts = PROTOCOLS[protocol].parts if PROTOCOLS[protocol].classes else (condition,)
    return [FrameRow(frame_id=frame_id, condition=part, scene=scene, valid=9, values=values) for part in parts]
