"""Exact nearest neighbors among many short vectors on a CPU: SciPy's k-d tree, built once for keys that stay."""

from __future__ import annotations

import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["nearest", "tree_of"]

LEAF = 32  # keys of a leaf

TREES = WeakTensorKeyDictionary()  # of keys that have been searched, as long as they are there


def tree_of(keys: Tensor) -> KDTree | None:
    """The tree of (M, K) keys that nobody changes, built when it is first asked for; None where one is not finite."""
    if keys not in TREES:  # trees that are not balanced are built twice as fast and searched as fast
        finite = bool(keys.isfinite().all())
        TREES[keys] = KDTree(keys, leafsize=LEAF, balanced_tree=False, compact_nodes=False) if finite else None
    return TREES[keys]


def nearest(tree: KDTree, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the `count` keys that are nearest to each query.

    Args:
        tree: of M keys, at least `count`.
        queries: (Q, K), finite.

    Returns:
        (Q, count) squared distances, and (Q, count) indices of keys, nearest first.
    """
    distance, index = tree.query(queries, k=range(1, count + 1), workers=torch.get_num_threads())
    return torch.from_numpy(distance).square().to(queries.dtype), torch.from_numpy(index)
