"""A video network as other runtimes get it: one graph encodes a frame, another takes a step with a memory of tensors.

The memory of a clip is one tensor a level, a row an entry: its key, its value, its usage and its life (see
`lib.modules.memory`); none at the start of a clip has rows. Everything is one clip, a frame at a time. The graphs give
what `encode` and `step` give, but for entries that are equally near and for rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lib import Encoding, Memory, Network
from measure.io import InputError

__all__ = ["LEVELS", "EncodeGraph", "StepGraph"]

LEVELS = Encoding._fields  # fine, middle, coarse
PIECE = 2**22  # affinities of a level held at a time with a full memory, about: 16 MB
BLOCK = 64  # entries, of which only the most similar one is compared with those of other blocks at first
NEVER = 1e30  # taken off the affinity of what is not to be read; a softmax makes 0 of it


class EncodeGraph(nn.Module):
    """frame (1, 3, S, S) float32, normalized RGB -> its features, `fine`, `middle` and `coarse`."""

    output_names = LEVELS
    input_names = ("frame",)

    def __init__(self, network: Network, size: int):
        super().__init__()
        self.network, self.size = network, size

    def example(self) -> tuple[Tensor, ...]:
        """What the graph takes, all zeros."""
        return (torch.zeros(1, 3, self.size, self.size),)

    def dynamic_shapes(self) -> None:
        """No dimension varies."""

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.encode(frame))


class StepGraph(nn.Module):
    """Segment a frame and remember it.

    Takes the features of the frame (`current_fine`, ...) and of its neighbor (`adjacent_fine`, ...), the memory
    (`memory_fine`, ...; (M, W), M from 0) and `write`, () bool, whether to remember the frame. Gives `logits`
    (1, 1, S, S) and the memory for the next step.

    Args:
        network: in evaluation.
        size: S, pixels.

    Raises:
        InputError: a network without memory, or one whose pixels read more entries than a frame has.
    """

    input_names = (*(f"{kind}_{level}" for kind in ("current", "adjacent", "memory") for level in LEVELS), "write")
    output_names = ("logits", *(f"new_memory_{level}" for level in LEVELS))

    def __init__(self, network: Network, size: int):
        super().__init__()
        config = network.config
        if not config.temporal:
            raise InputError(f"this {network.name} has no memory (temporal is off), so there is no step to export")
        if (size // network.divisor) ** 2 < config.memory_top_k:
            raise InputError(
                f"a pixel reads {config.memory_top_k} entries and at {size} pixels the coarsest level has fewer a "
                "frame; give a greater --size"
            )
        self.network, self.size = network, size

    def example(self) -> tuple[Tensor, ...]:
        """What the graph takes, with a memory of some frames."""
        frame = torch.zeros(1, 3, self.size, self.size)
        with torch.no_grad():
            encoding = self.network.encode(frame)
            entries = as_rows(self.network.entries(encoding, encoding))
        adjacent = [level.clone() for level in encoding]  # a tracer takes one tensor given twice for one input
        return (*encoding, *adjacent, *(rows.repeat(3, 1) for rows in entries), torch.tensor(True))

    def dynamic_shapes(self) -> dict[str, tuple[dict[int, torch.export.Dim], ...]]:
        """The memory's length may vary."""
        lengths = tuple({0: torch.export.Dim(f"entries_{level}")} for level in LEVELS)
        return {"given": (*({} for _ in (*LEVELS, *LEVELS)), *lengths, {})}

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        current, adjacent, memory = Encoding(*given[:3]), Encoding(*given[3:6]), given[6:9]
        network, config, write = self.network, self.network.config, given[9]
        own = as_rows(network.entries(current, current))
        how = {"top_k": config.memory_top_k, "limit": config.memory_frames, "key_width": network.key[0].out_channels}
        read = [attend(rows, fresh, **how) for rows, fresh in zip(memory, own, strict=True)]
        enhanced = network.interact([found[None] for found, _ in read], current, adjacent)
        logits = network.decoder(enhanced)
        content = enhanced if config.enhanced_values else current
        fresh = as_rows(network.entries(current, content, logits[: len(LEVELS)]))
        full = length(memory[0]) >= config.memory_frames * len(own[0])
        kept = [
            remember(rows, used, new, write, full, limit=config.memory_frames, protect_newest=config.protect_newest)
            for rows, (_, used), new in zip(memory, read, fresh, strict=True)
        ]
        size = (self.size, self.size)
        whole = nn.functional.interpolate(logits[0], size, mode="bilinear", align_corners=False)
        return (whole, *kept)


def as_rows(memory: Memory) -> list[Tensor]:
    """The only clip's banks, per level (M, K + V + 2)."""
    banks = memory.clips[0]
    return [torch.cat((b.keys, b.values, b.usage[:, None], b.life[:, None]), dim=1) for b in banks]


def length(rows: Tensor) -> Tensor:
    """Number of rows, as a tensor."""
    return torch.ones_like(rows[:, 0], dtype=torch.long).sum()


def attend(memory: Tensor, own: Tensor, *, key_width: int, top_k: int, limit: int) -> tuple[Tensor, Tensor]:
    """`lib.modules.memory.read` of one level, by comparing all entries.

    Own entries stand behind those of the memory, out of reach unless the memory is empty; behind them stand rows of
    zeros that fill the blocks of `most_similar`, always out of reach.

    Args:
        memory: (M, W), entries of earlier frames.
        own: (hw, W), entries of this frame.
        key_width: K, numbers by which an entry is found.
        top_k: entries that a pixel reads, at most hw.
        limit: frames that the memory holds, about.

    Returns:
        (hw, 2 V) read-out beside own values, and (M,) weights that the memory's entries were given.
    """
    filling = own.new_zeros(top_k * BLOCK, own.shape[1])
    entries = torch.cat((memory, own, filling))
    keys, values = entries[:, :key_width], entries[:, key_width:-2]
    remembers = (length(memory) > 0).to(own.dtype).expand(len(own))
    unreachable = torch.cat((torch.zeros_like(memory[:, 0]), remembers, torch.ones_like(filling[:, 0])))
    offset = keys.square().sum(dim=1) / 2 + NEVER * unreachable
    # affinities are products alone, with 1 beside a query and the offset, negative, beside a key
    queries = torch.cat((own[:, :key_width], torch.ones_like(own[:, :1])), dim=1)
    keys = torch.cat((keys, -offset[:, None]), dim=1)[: entries.shape[0] // BLOCK * BLOCK]
    pieces = queries.split(max(1, PIECE // ((limit + 1) * len(own))))
    found = [most_similar(piece @ keys.T, top_k) for piece in pieces]
    best, index = (torch.cat(part) for part in zip(*found, strict=True))
    weight = best.softmax(dim=1)
    readout = (weight[:, :, None] * values[index]).sum(dim=1)
    used = torch.zeros_like(offset).scatter_add(0, index.flatten(), weight.flatten())
    return torch.cat((readout, own[:, key_width:-2]), dim=1), used[: memory.shape[0]]


def most_similar(affinity: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """`affinity.topk(top_k)`, ties aside, in a quarter of the time that ONNX Runtime's takes on many entries.

    Of n blocks, entry m is in block m % n. Only the `top_k` blocks with the greatest affinities are looked through: an
    entry of any other block has `top_k` entries before it, the greatest of each of these.

    Args:
        affinity: (q, BLOCK n), n at least `top_k`.
        top_k: entries sought in each row.

    Returns:
        (q, top_k) their affinities, greatest first, and (q, top_k) their places.
    """
    blocks = affinity.unflatten(1, (BLOCK, -1))  # (q, BLOCK, n)
    chosen = blocks.amax(dim=1).topk(top_k, dim=1).indices  # (q, top_k)
    candidates = blocks.gather(2, chosen[:, None].expand(-1, BLOCK, -1)).flatten(1)  # (q, BLOCK top_k)
    best, place = candidates.topk(top_k, dim=1)
    return best, place // top_k * blocks.shape[2] + chosen.gather(1, place % top_k)


def remember(
    memory: Tensor, used: Tensor, fresh: Tensor, write: Tensor, full: Tensor, *, limit: int, protect_newest: bool
) -> Tensor:
    """`count_usage`, `write` and `evict` of `lib.modules.memory` for one level.

    Args:
        memory: (M, W), before this step.
        used: (M,), weights that its entries were given.
        fresh: (hw, W), the frame's entries.
        write: () bool, whether they are appended.
        full: () bool, whether the clip held `limit` frames before.
        limit: frames.
        protect_newest: fresh entries stay.
    """
    counted = torch.cat((memory[:, :-2], (memory[:, -2] + used)[:, None], memory[:, -1:] + 1), dim=1)
    grown = torch.cat((counted, fresh))
    is_new = torch.cat((torch.zeros_like(memory[:, 0]), torch.ones_like(fresh[:, 0]))) > 0
    excess = length(grown) - limit * len(fresh)
    rate = grown[:, -2] / grown[:, -1]  # usage / life
    candidates = torch.where(is_new, float("inf"), rate) if protect_newest else rate
    least = candidates.sort().values[(excess - 1).clamp(min=0)]  # of the n-th least used entry
    stays = (rate > least) | ~(full & (excess > 0))
    if protect_newest:
        stays = stays | is_new
    kept = (stays & write) | ~(is_new | write)
    return grown[kept.nonzero()[:, 0]]
