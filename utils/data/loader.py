"""The one place where data sets become batches: processes that load, and how many."""

from __future__ import annotations

import argparse
import os

import torch
from torch.utils.data import DataLoader, Dataset

from ..runtime import (
    own_process_group,
)
from .sampler import TrainingBatches

__all__ = ["worker_count"]


def worker_count(args: argparse.Namespace, device: torch.device) -> int:
    """Return --workers, or as many as feed the device: a GPU takes several, a CPU is busy with the network itself."""
    if args.workers is not None:
        return args.workers
    return min(8, os.cpu_count() or 1) if device.type == "cuda" else 1


def training_loader(training: Dataset, batches: TrainingBatches, *, workers: int, device: torch.device) -> DataLoader:
    return DataLoader(
        training,
        batch_sampler=batches,
        generator=torch.Generator(),  # its own: a start of a loader draws from one, and no run may depend on that
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
        worker_init_fn=own_process_group,
    )
