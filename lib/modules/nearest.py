"""Exact nearest neighbors among many short vectors: a k-d tree whose leaves are searched for all queries at once.

Most of a memory lies far from a query. The tree puts neighboring keys into leaves with a box around each; a query looks
into the few leaves whose boxes are nearest, and is done where no other box is nearer than the farthest key it has
found. The others look into more.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["KeyTree", "nearest", "tree_of"]

LEAF = 64  # keys of a leaf, at most twice as many
LEAVES = 16  # that a query looks into at first
GROWTH = 4  # times as many where that was not enough
FAR = 1e18  # stands where a leaf has no key; its square is still a float32


class KeyTree(NamedTuple):
    """M keys in leaves of equal size.

    Attributes:
        order: (leaves, size), which key lies there; M where there is none.
        keys: (leaves, size, K); `FAR` where there is none.
        low: (leaves, K), the least of each coordinate in a leaf.
        high: (leaves, K), the greatest.
    """

    order: Tensor
    keys: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, keys: Tensor) -> KeyTree:
        """Build the tree of (M, K) keys: halve them where they are widest, as long as halves fill a leaf."""
        leaves = 1 << max(0, (len(keys) // LEAF).bit_length() - 1)
        size = -(-len(keys) // leaves)
        missing = leaves * size - len(keys)
        padded = torch.cat((keys, keys.new_full((missing, keys.shape[1]), FAR)))[None]
        order = torch.arange(leaves * size, device=keys.device).clamp(max=len(keys))[None]
        while len(padded) < leaves:
            widest = (padded.amax(dim=1) - padded.amin(dim=1)).argmax(dim=1)
            along = padded.gather(2, widest[:, None, None].expand(-1, padded.shape[1], 1))[..., 0]
            place = along.argsort(dim=1)
            halves = 2 * len(padded)
            padded = padded.gather(1, place[..., None].expand_as(padded)).reshape(halves, -1, keys.shape[1])
            order = order.gather(1, place).reshape(halves, -1)
        return cls(order, padded, padded.amin(dim=1), padded.amax(dim=1))


TREES = WeakTensorKeyDictionary()  # of keys that have been searched, as long as they are there


def tree_of(keys: Tensor) -> KeyTree:
    """The tree of (M, K) keys that nobody changes, built when they are searched for the first time."""
    if keys not in TREES:
        TREES[keys] = KeyTree.of(keys)
    return TREES[keys]


def nearest(tree: KeyTree, queries: Tensor, count: int) -> Tensor:
    """Find the `count` keys that are nearest to each query, in no order.

    Args:
        tree: of the keys, at least `count` of them.
        queries: (Q, K).

    Returns:
        (Q, count) indices of keys.
    """
    leaves = len(tree.keys)
    below = queries.new_zeros(len(queries), leaves)  # squared distance to each box
    for axis in range(queries.shape[1]):
        at = queries[:, axis, None]
        outside = torch.maximum(tree.low[:, axis] - at, at - tree.high[:, axis]).clamp_(min=0)
        below.addcmul_(outside, outside)
    index = torch.empty(len(queries), count, dtype=torch.long, device=queries.device)
    left, looked_into = torch.arange(len(queries), device=queries.device), LEAVES
    while len(left):
        looked_into = min(looked_into, leaves)
        bound, near = below[left].topk(min(looked_into + 1, leaves), dim=1, largest=False)
        near = near[:, :looked_into]
        candidates = tree.keys[near].flatten(1, 2)  # (Q, leaves looked into x size, K)
        distance = candidates.sub_(queries[left, None]).square_().sum(dim=2)
        if distance.shape[1] >= count:
            found, place = distance.topk(count, dim=1, largest=False)
            index[left] = tree.order[near].flatten(1).gather(1, place)
            if looked_into == leaves:
                break
            left = left[found[:, -1] > bound[:, -1]]
        looked_into *= GROWTH
    return index
