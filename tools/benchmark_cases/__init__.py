"""Cases of `tools/benchmark.py`: each proves that its variants compute the same, then times them in turns."""
