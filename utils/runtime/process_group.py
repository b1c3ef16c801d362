"""Runs of several processes under torchrun: who does what, and what they tell each other. One process is a run of one.

    torchrun --nproc_per_node 4 myTrain.py --train_data_path data/TrainDataset

Tensors on CUDA devices travel by NCCL, everything else by gloo: telling scores or signals never makes a GPU wait.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from .interrupts import LostProcess
from .sync_batchnorm import synchronised

__all__ = ["ALONE", "World", "join", "world"]

Item = TypeVar("Item")
NOTHING = object()
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # torchrun's, in the order of World's fields


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Attributes:
        rank: this process's number. size: how many there are.
        local_rank: its number on this machine, which is that of its CUDA device.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def no_bar(self) -> bool | None:
        """What tqdm calls `disable`: the first process shows its progress where that goes to a terminal."""
        return None if self.is_first else True

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """What of `items` falls to this process: every size-th; nothing is repeated, nothing left out."""
        return items[self.rank :: self.size]

    def gather(self, item: Item) -> list[Item]:
        """Every process's item, by rank, in every process."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        with torch.inference_mode(False):  # gloo of older versions writes into tensors that are none of inference
            dist.all_gather_object(items, item)
        return items

    def collect(self, mine: Sequence[Item]) -> list[Item]:
        """Undo `share`, in every process: what all made of their items, in the order the items had."""
        rounds = zip_longest(*self.gather(list(mine)), fillvalue=NOTHING)
        return [item for round in rounds for item in round if item is not NOTHING]

    def largest(self, number: float) -> float:
        """The largest of the processes' numbers, so that all of them decide alike."""
        if self.size == 1:
            return number
        tensor = torch.tensor(number, dtype=torch.float64)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return tensor.item()

    def replicate(self, model: nn.Module, *, sync_norms: bool) -> nn.Module:
        """Return `model` as a module whose backward averages gradients over the processes.

        Args:
            sync_norms: batch normalisation over the images of all processes, not of each.
        """
        if self.size == 1:
            return model
        model = synchronised(model) if sync_norms else model
        device = next(model.parameters()).device
        return DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )

    def share_statistics(self, model: nn.Module) -> None:
        """Give all processes the first one's batch-norm statistics, where each kept its own."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


ALONE = World()  # a run of one process


def world() -> World:
    """The processes that torchrun tells of in the environment; a single one without it."""
    told = {field.name: os.environ.get(variable) for field, variable in zip(fields(World), VARIABLES, strict=True)}
    return World(**{name: int(value) for name, value in told.items() if value is not None})


@contextmanager
def join(world: World) -> Iterator[None]:
    """Connect the processes for the block; only the first one prints to stdout.

    Raises:
        LostProcess: another process ended before its work was done.
    """
    if world.size == 1:
        yield
        return
    connect(world)
    try:
        with nullcontext() if world.is_first else silence():
            yield
    except RuntimeError as error:
        if not is_broken_connection(error):
            raise
        raise LostProcess(
            f"process {world.rank} of {world.size} lost the others: one of them ended, its own message says why; "
            "start the same torchrun command with --resume auto to go on from the last checkpoint"
        ) from error
    finally:
        dist.destroy_process_group()


def connect(world: World) -> None:
    """Start the process group.

    torchrun keeps its store when it restarts the processes, so they would find the addresses of those that died; names
    in the store therefore begin with the number of the restart. Machines count their restarts on their own: with
    several of them, set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1, which gives every restart a new store.
    """
    store, rank, size = next(dist.rendezvous("env://"))
    if os.environ.get("LOCAL_WORLD_SIZE") == str(world.size):
        store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)


@contextmanager
def silence() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


def is_broken_connection(error: RuntimeError) -> bool:
    """Tell what gloo and NCCL raise when another process is gone; gloo's is a plain RuntimeError."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
