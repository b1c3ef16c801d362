"""The long-term memory of the video networks: what earlier frames looked like (keys) and what was in them (values).

Hu et al.: SALI (MICCAI 2024). State is an argument and a result, never part of a module: `read` and `write` take a
`Memory` and return another one, so clips can be interleaved, batched, paused and moved between devices freely.

Every clip of a batch keeps banks of its own length: nothing is padded, so what a clip reads cannot depend on its
other clips of the batch, not even where affinities are equal. Levels run finest first. Everything here is float32 (or
float64), also under mixed precision. On CUDA the last bits of usage, and of nothing else, depend on the order of
atomic additions unless `torch.use_deterministic_algorithms` is on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ModelError
from .nearest import SearchTree, nearest, tree_of

__all__ = ["Bank", "Memory", "attend", "count_usage", "evict", "read", "write"]

LIFE_AT_BIRTH = 1e-7  # steps; keeps usage / life finite for an entry that no step has read yet
PIECE = 2**21  # affinities held at a time: 8 MB of float32
SEARCHED = 2048  # entries from which a search tree pays on a CPU


@dataclass(frozen=True)
class Bank:
    """The M entries of one clip at one level, oldest first.

    Attributes:
        keys: (M, K), by which a query finds an entry.
        values: (M, V), what the query gets from it.
        usage: (M,), sum of the weights that queries have given it.
        life: (M,), steps that could have read it.
    """

    keys: Tensor
    values: Tensor
    usage: Tensor
    life: Tensor

    @classmethod
    def new(cls, keys: Tensor, values: Tensor) -> Bank:
        """Entries that no step has read yet."""
        unread = keys.detach().new_zeros(len(keys))
        return cls(keys, values, unread, unread + LIFE_AT_BIRTH)

    def __len__(self) -> int:
        return len(self.keys)

    def map(self, function: Callable[[Tensor], Tensor]) -> Bank:
        """Apply a function to each of the four tensors."""
        return Bank(function(self.keys), function(self.values), function(self.usage), function(self.life))

    def append(self, newer: Bank) -> Bank:
        """These entries, then those of another bank."""
        pairs = ((getattr(self, name), getattr(newer, name)) for name in ("keys", "values", "usage", "life"))
        return Bank(*(torch.cat(pair) for pair in pairs))


Clip = tuple[Bank, ...]  # a bank per level; () before anything was written


@dataclass(frozen=True)
class Memory:
    """What the clips of a batch remember.

    Clips can be taken out and put together: `Memory((a.clips[0], b.clips[0]))`; `()` is a clip at its start.

    Attributes:
        clips: `clips[n][level]` is a `Bank`; no clips at all: a batch of any size, nothing written.
    """

    clips: tuple[Clip, ...] = ()

    @classmethod
    def empty(cls) -> Memory:
        """The memory at the start of every clip, for a batch of any size."""
        return cls()

    @classmethod
    def of_frame(cls, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Memory:
        """The entries of one frame of N clips, one per pixel. Per level (N, K, h, w) and (N, V, h, w)."""

        def rows(level: Tensor, clip: int) -> Tensor:
            return level[clip].flatten(1).T.contiguous()  # (C, h, w) -> (hw, C), an aligned copy for each clip

        pairs = list(zip(keys, values, strict=True))
        batch = range(len(keys[0]))
        return cls(tuple(tuple(Bank.new(rows(k, n), rows(v, n)) for k, v in pairs) for n in batch))

    def to(self, target: torch.device | torch.dtype | str) -> Memory:
        """Move all tensors to a device, or to a floating point type."""
        return self._map(lambda tensor: tensor.to(target))

    def detach(self) -> Memory:
        """Cut the memory off the graph it was made in."""
        return self._map(Tensor.detach)

    @property
    def sizes(self) -> list[tuple[int, ...]]:
        """Entries of every clip, per level."""
        return [tuple(len(bank) for bank in clip) for clip in self.clips]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        tensors = (t for clip in self.clips for b in clip for t in (b.keys, b.values, b.usage, b.life))
        return sum(tensor.nbytes for tensor in tensors)

    def for_batch(self, size: int) -> Memory:
        """This memory with a place for each clip of a batch.

        Raises:
            ModelError: it remembers another number of clips.
        """
        if not self.clips:
            return Memory(((),) * size)
        if len(self.clips) != size:
            raise ModelError(
                f"the memory is of {len(self.clips)} clips and the batch has {size} frames; "
                "give each frame the memory of its own clip, or none at the start"
            )
        return self

    def _map(self, function: Callable[[Tensor], Tensor]) -> Memory:
        return Memory(tuple(tuple(bank.map(function) for bank in clip) for clip in self.clips))


def attend(bank: Bank, queries: Tensor, *, top_k: int) -> tuple[Tensor, Tensor]:
    """Read a bank: each query takes the mean of its most similar entries' values, weighted by a softmax over them.

    The affinity of key k and query q is (2 k.q - |k|^2) / 2, largest for the nearest of equally long keys. It is
    computed in pieces over the queries, so that no more than `PIECE` affinities (or one query's) exist at a time; in a
    large bank on a CPU, without gradients, only for the entries nearest to a query: the same ones, ties aside.

    Args:
        bank: M entries, at least one.
        queries: (Q, K).
        top_k: entries a query reads, at most.

    Returns:
        (Q, V) read-out, and (M,) sum over the queries of the weight each entry was given; that sum has no gradient.
    """
    used = torch.zeros_like(bank.usage)
    readout = []
    top_k = min(top_k, len(bank))
    tree = searched(bank, queries)
    half_norm = None if tree else bank.keys.square().sum(dim=1) / 2
    for piece in queries.split(max(1, PIECE // (top_k if tree else len(bank)))):
        if tree:
            distance, index = nearest(tree, piece, top_k)
            best = -distance / 2  # the affinity without |q|^2 / 2, which a softmax does not see
        else:
            affinity = torch.addmm(-half_norm, piece, bank.keys.T)  # (q, M)
            best, index = affinity.topk(top_k, dim=1)
        weight = best.softmax(dim=1)
        if tree:  # the same sum; the (q, top_k, V) values are never written out
            readout.append(F.embedding_bag(index, bank.values, per_sample_weights=weight, mode="sum"))
        else:
            readout.append((weight[:, :, None] * bank.values[index]).sum(dim=1))
        used.scatter_add_(0, index.flatten(), weight.detach().flatten())
    return torch.cat(readout), used


def searched(bank: Bank, queries: Tensor) -> SearchTree | None:
    """The search tree of a bank; None where one does not pay or cannot be: gradients, a GPU, float64, not finite."""
    if len(bank) < SEARCHED or torch.is_grad_enabled() or queries.device.type != "cpu":
        return None
    if queries.dtype != torch.float32:
        return None
    return tree_of(bank.keys) if queries.isfinite().all() else None


def count_usage(bank: Bank, used: Tensor) -> Bank:
    """Return the bank one step older, with the (M,) weights that its entries were given in that step."""
    return replace(bank, usage=bank.usage + used, life=bank.life + 1)


def read(memory: Memory, frame: Memory, *, top_k: int) -> tuple[list[Tensor], Memory]:
    """Read the memory by the keys of a frame; where nothing is remembered, the frame's own entries are read.

    Args:
        memory: what N clips remember.
        frame: the entries of a frame of each (`Memory.of_frame`).
        top_k: see `attend`.

    Returns:
        Per level (N, hw, 2 V), the read-out beside the frame's own values; and the memory with the usage of this step
        counted (own entries count none).
    """
    memory = memory.for_batch(len(frame.clips))
    readouts, clips = [], []
    for clip, own in zip(memory.clips, frame.clips, strict=True):
        banks = [bank if len(bank) else fresh for bank, fresh in zip(clip or own, own, strict=True)]
        results = [attend(bank, fresh.keys, top_k=top_k) for bank, fresh in zip(banks, own, strict=True)]
        pairs = zip(results, own, strict=True)
        readouts.append([torch.cat((readout, fresh.values), dim=1) for (readout, _), fresh in pairs])
        clips.append(tuple(count_usage(bank, used) for bank, (_, used) in zip(clip, results, strict=False)))
    return [torch.stack(level) for level in zip(*readouts, strict=True)], Memory(tuple(clips))


def evict(bank: Bank, *, room: int, protected: int = 0) -> Bank:
    """Make a bank fit: drop its n = entries - room least used entries, by usage / life.

    Only entries above the n-th smallest usage / life stay, so entries that equal it go as well: as released, with the
    frame just written (never read yet) all entries go that were never read, and once every kept entry has been read
    only new frames are dropped and the memory is frozen. n <= 0: nothing happens.

    Args:
        bank: entries, oldest first.
        room: entries that may stay.
        protected: newest entries that stay whatever their usage; at most `room`.
    """
    if len(bank) <= room:
        return bank
    index = kept(bank.usage / bank.life, room=room, protected=protected).nonzero()[:, 0]
    return bank.map(lambda tensor: tensor[index])


def kept(rate: Tensor, *, room: int, protected: int) -> Tensor:
    """Which entries `evict` keeps, (M,), by their usage / life, (M,); M > room."""
    candidates = len(rate) - protected
    keep = rate > rate[:candidates].kthvalue(len(rate) - room).values
    keep[candidates:] |= protected > 0
    return keep


def replace_least_used(bank: Bank, newer: Bank, *, protect_newest: bool, room: int) -> Bank:
    """Append entries, then evict; where just these would go, the bank itself stays, and its search tree with it."""
    protected = len(newer) * protect_newest
    if len(bank) + len(newer) > room:
        rate = torch.cat((bank.usage / bank.life, newer.usage / newer.life))
        old, new = kept(rate, room=room, protected=protected).split((len(bank), len(newer)))
        if old.all() and not new.any():
            return bank
    return evict(bank.append(newer), room=room, protected=protected)


def write(memory: Memory, frame: Memory, *, which: Sequence[bool], limit: int, protect_newest: bool = False) -> Memory:
    """Append a frame to the clips chosen, and evict from those that held `limit` frames before.

    Frames are counted at the finest level: entries // entries of one frame. Between two trims the finest level stays
    under `limit` + 1 frames and the coarser ones, which are trimmed with it, under 2 `limit` + 2.

    Args:
        memory: what N clips remember.
        frame: the entries of a frame of each (`Memory.of_frame`).
        which: N switches.
        limit: L, frames.
        protect_newest: keep the frame being written out of its own trim (not as released).
    """

    def extended(clip: Clip, new: Clip) -> Clip:
        if not clip:
            return new
        pairs = zip(clip, new, strict=True)
        if len(clip[0]) // len(new[0]) < limit:
            return tuple(bank.append(fresh) for bank, fresh in pairs)
        return tuple(
            replace_least_used(bank, fresh, protect_newest=protect_newest, room=limit * len(fresh))
            for bank, fresh in pairs
        )

    memory = memory.for_batch(len(frame.clips))
    triples = zip(memory.clips, frame.clips, which, strict=True)
    return Memory(tuple(extended(clip, new) if chosen else clip for clip, new, chosen in triples))
