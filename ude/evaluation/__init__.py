"""Depth metrics against LiDAR per condition, trivial baselines, scene-bootstrap intervals and the HTML report."""
