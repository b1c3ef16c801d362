"""What the numeric flags of the verbs may be."""

from measure.io import number

__all__ = ["BATCH", "FRAMES", "REPEATS", "SIDE", "WARMUP"]

SIDE = number(int, low=32, high=4096)  # pixels
BATCH = number(int, low=1, high=4096)  # images
WARMUP = number(int, low=0, high=100_000)  # forwards or steps
REPEATS = number(int, low=1, high=1_000_000)  # forwards, steps, passes or frames
FRAMES = number(int, low=1, high=100_000)
