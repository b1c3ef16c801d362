"""The one place where data sets become batches: processes that load, and how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from measure.io import available_cores, one_thread

from ..runtime import own_process_group

__all__ = ["make_loader", "worker_count"]

MOST_WORKERS = 16  # by default: more of them wait for the GPU and take memory


def worker_count(given: int | None, device: torch.device) -> int:
    """How many processes load: `given` (--workers), or as many as feed the device.

    A GPU takes several, all but one of the cores that this process may run on; a CPU is busy with the network itself.
    """
    if given is not None:
        return given
    return max(1, min(MOST_WORKERS, available_cores() - 1)) if device.type == "cuda" else 1


def make_loader(
    dataset: Dataset,
    *,
    batch_sampler: Iterable[Sequence[Any]],
    workers: int,
    device: torch.device,
    collate: Callable[[list[Any]], Any] | None = None,
    persistent: bool = False,
) -> DataLoader:
    """Make the loader of a data set's batches.

    Args:
        batch_sampler: what to load, batch by batch: lists of what `dataset` is addressed by.
        workers: processes that load; 0: this one does.
        device: where the batches go; for a CUDA device they are loaded into pinned memory.
        collate: makes a batch of samples; None: PyTorch's own way.
        persistent: keep the processes from one pass to the next.
    """
    return Loader(
        dataset,
        batch_sampler=batch_sampler,
        collate_fn=collate,
        generator=torch.Generator(),  # its own: a start of a loader draws from one, and no run may depend on that
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=persistent and workers > 0,
        worker_init_fn=worker_init,
    )


class Loader(DataLoader):
    """A DataLoader that starts its processes while OpenCV has no threads beside this one.

    A forked process inherits OpenCV's record of its threads without the threads: it hangs or crashes when their number
    is changed there.
    """

    def __iter__(self) -> Iterator[Any]:
        with one_thread():
            return super().__iter__()


def worker_init(worker: int) -> None:
    """Prepare a loader's process: one thread for OpenCV, as PyTorch has there, and a process group of its own.

    Without the first, every one of the processes would start a thread on each core.
    """
    cv2.setNumThreads(1)  # for processes that are spawned; forked ones have inherited it
    own_process_group(worker)
