"""Runs of several processes under torchrun: who does what, and what they tell each other. One process is a run of one.

    torchrun --nproc_per_node 4 myTrain.py --train_data_path data/TrainDataset

Tensors on CUDA devices travel by NCCL, everything else by gloo: exchanging scores or signals never makes a GPU wait.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, fields
from inspect import signature
from itertools import zip_longest
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lib import ModelError
from measure.io import CommandError

from .interrupts import LostProcess

__all__ = ["SINGLE_PROCESS", "World", "join", "world"]

Item = TypeVar("Item")
NOTHING = object()
HEAD_START = 1.0  # seconds
# seconds in which gloo's threads free the tensors of the last exchange; they need Python's lock for it, which PyTorch
# 2.4 holds while it ends the group and waits for them: without the pause some runs never ended
SETTLED = 0.2
# ends the group without waiting for what was sent to the others, who may be gone; older versions of PyTorch lack it
ABORT = getattr(dist.distributed_c10d, "_abort_process_group", dist.destroy_process_group)
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # torchrun's, in the order of World's fields


@dataclass(frozen=True)
class World:
    """The processes of a run, and what they exchange.

    Attributes:
        rank: this process's number, from 0.
        size: how many processes there are.
        local_rank: this process's number on its machine, which is that of its CUDA device.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.rank == 0

    @property
    def disable_progress(self) -> bool | None:
        """What tqdm calls `disable`: only the first process shows a bar, and only on a terminal (None)."""
        return None if self.is_first else True

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part of `items`: every size-th from its rank on; nothing is repeated or left out."""
        return items[self.rank :: self.size]

    def all_gather(self, item: Item) -> list[Item]:
        """Every process's item, ordered by rank, in every process."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        with torch.inference_mode(False):  # gloo of older versions writes into tensors that are none of inference
            dist.all_gather_object(items, item)
        return items

    def gather_in_order(self, mine: Sequence[Item]) -> list[Item]:
        """Undo `shard`, in every process: the results for all items, in the items' order.

        Args:
            mine: one result for each item of this process's shard.
        """
        rounds = zip_longest(*self.all_gather(list(mine)), fillvalue=NOTHING)
        return [item for round in rounds for item in round if item is not NOTHING]

    def all_reduce_max(self, number: float) -> float:
        """The largest of the processes' numbers, in every process, so that all of them decide alike."""
        if self.size == 1:
            return number
        tensor = torch.tensor(number, dtype=torch.float64)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return tensor.item()

    def replicate(self, model: nn.Module, *, sync_norms: bool) -> nn.Module:
        """Return `model` as a module whose backward averages gradients over the processes.

        Args:
            sync_norms: whether batch normalization takes its statistics from the images of all processes.
        """
        if self.size == 1:
            return model
        if sync_norms:
            model = synchronize_norms(model, self)
        device = next(model.parameters()).device
        return DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
            **{BUFFERS: False},  # before every forward; our own does it once an epoch, before they are used
        )

    def broadcast_buffers(self, model: nn.Module) -> None:
        """Give all processes the first one's batch-norm statistics, where each kept its own."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


# what PyTorch calls its own exchange of buffers; by the older name a newer one warns
BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel.__init__).parameters
)

SINGLE_PROCESS = World()  # a run of one process


def world() -> World:
    """The processes that torchrun describes in the environment; a single one without it."""
    given = {field.name: os.environ.get(variable) for field, variable in zip(fields(World), VARIABLES, strict=True)}
    return World(**{name: int(value) for name, value in given.items() if value is not None})


def synchronize_norms(model: nn.Module, world: World) -> nn.Module:
    """Return `model` with batch normalization over all processes; names and values of its entries stay.

    PyTorch has it for CUDA alone. On a CPU the model stays as it is, and a line says so.
    """
    if next(model.parameters()).is_cuda:
        from timm.layers import convert_sync_batchnorm  # timm takes two seconds to import

        return convert_sync_batchnorm(model)
    if world.is_first:
        print(
            "note: on CPUs every process normalizes its own part of a batch; batch normalization over all processes "
            "needs CUDA",
            file=sys.stderr,
        )
    return model


@contextmanager
def join(world: World) -> Iterator[None]:
    """Connect the processes for the block; only the first one prints to stdout.

    A problem that several processes meet is reported by one of them.

    Raises:
        LostProcess: another process ended before its work was done.
    """
    if world.size == 1:
        yield
        return
    store, leave = connect(world), ABORT
    try:
        with nullcontext() if world.is_first else silence():
            yield
        time.sleep(SETTLED)
        leave = dist.destroy_process_group
    except (CommandError, ModelError) as error:
        raise reported_once(error, store, world) from error
    except RuntimeError as error:
        if not is_broken_connection(error):
            raise
        lost = LostProcess(
            f"process {world.rank} of {world.size} lost the others: one of them ended, its own message says why; "
            "start the same torchrun command with --resume auto to go on from the last checkpoint"
        )
        raise reported_once(lost, store, world) from error
    finally:
        leave()


def connect(world: World) -> dist.Store:
    """Start the process group and return the store that the processes share.

    torchrun keeps its store when it restarts the processes, so they would find the addresses of those that died; names
    in the store therefore begin with the number of the restart. Machines count their restarts on their own: with
    several of them, set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1, which gives every restart a new store.
    """
    store, rank, size = next(dist.rendezvous("env://"))
    if os.environ.get("LOCAL_WORLD_SIZE") == str(world.size):
        store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    return store


def reported_once(error: Exception, store: dist.Store, world: World) -> Exception:
    """Return `error` in the process that is to report it, and in the others an exception without a message.

    The others let the first process go ahead; torchrun often ends them while they wait.
    """
    if not world.is_first:
        time.sleep(HEAD_START)
    text = type(error).__name__ if isinstance(error, LostProcess) else str(error)
    try:
        is_first = store.add(f"reported/{hashlib.sha256(text.encode(errors='replace')).hexdigest()}", 1) == 1
    except RuntimeError:  # torchrun is gone, and its store with it
        is_first = True
    own = error if is_first else ReportedElsewhere(getattr(error, "status", 2))
    own.process = world.rank
    return own


class ReportedElsewhere(CommandError):
    """Another process reports why the run ends; this one only keeps the exit status."""

    label = ""

    def __init__(self, status: int):
        super().__init__()
        self.status = status


@contextmanager
def silence() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


def is_broken_connection(error: RuntimeError) -> bool:
    """Tell what gloo and NCCL raise when another process is gone; gloo's is a plain RuntimeError."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
