"""LiDAR: sweeps from files, their projection into a camera, dense and sparse depth."""

from .devkit import devkit_projection
from .nearest import nearest_projection
from .projection import dense_depth, project_lidar, sparse_depth, sparse_projection
from .sweep import MIN_POINTS, POINT_BYTES, read_points, sweep_problem

__all__ = [
    "MIN_POINTS",
    "POINT_BYTES",
    "dense_depth",
    "devkit_projection",
    "nearest_projection",
    "project_lidar",
    "read_points",
    "sparse_depth",
    "sparse_projection",
    "sweep_problem",
]
