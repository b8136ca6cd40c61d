"""Training: one Lightning module per stage, its data, and the run folder it fills."""

from ude.engine.base import Solver
from ude.engine.datamodule import TrainingData
from ude.engine.run import RunOptions, fit
from ude.engine.run_folder import claim_run
from ude.engine.student import StudentModule, StudentWeights
from ude.engine.teacher import TeacherModule, TeacherWeights

__all__ = [
    "RunOptions",
    "Solver",
    "StudentModule",
    "StudentWeights",
    "TeacherModule",
    "TeacherWeights",
    "TrainingData",
    "claim_run",
    "fit",
]
