"""Which samples make up the batches of an epoch, for every process of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from ..runtime import SINGLE_PROCESS, World

__all__ = ["TrainingBatches", "batches_in_order"]


def batches_in_order(count: int, *, batch_size: int, world: World = SINGLE_PROCESS) -> Sequence[range]:
    """One process's shard of the batches of samples 0 ... count - 1: whole batches, as a single process makes them."""
    return world.shard([range(at, min(at + batch_size, count)) for at in range(0, count, batch_size)])


class TrainingBatches(Sampler[list[tuple[int, int]]]):
    """One process's part of every batch of an epoch, as lists of (epoch, index), in an order drawn from (seed, epoch).

    The batches are the same whatever the number of processes. A last batch of less than `least` samples is left out,
    unless it is the only one: batch normalization cannot learn from a single sample.
    Set `epoch` and `start` (batches to pass over, after a resume) before iterating.
    """

    def __init__(self, count: int, *, batch_size: int, seed: int, world: World = SINGLE_PROCESS, least: int = 2):
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.world = world
        self.least = least
        self.epoch = 1
        self.start = 0

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        full, rest = divmod(self.count, self.batch_size)
        return full + (rest >= self.least or (full == 0 and rest >= self.world.size))

    def images(self, step: int) -> int:
        """Samples in batch `step` of an epoch, of all processes."""
        return min(self.batch_size, self.count - step * self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count).tolist()
        for batch in range(self.start, len(self)):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, index) for index in self.world.shard(indices)]
