"""A procedural street, by day, at night and in rain, written to disk in the real nuScenes and RobotCar formats."""
