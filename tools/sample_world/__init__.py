"""A procedural street, rendered by day, at night and in rain, written to disk in the real nuScenes format."""
