"""Exact nearest neighbors among many short vectors on a CPU: FLANN's k-d tree, built once for keys that stay.

FLANN (Muja and Lowe, VISAPP 2009) comes with OpenCV; SALI's searches take three fifths of the time of SciPy's tree.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["SearchTree", "nearest", "tree_of"]

SearchTree = cv2.flann.Index  # has a copy of its keys

SINGLE_TREE = {"algorithm": 4, "leaf_max_size": 20}  # FLANN_INDEX_KDTREE_SINGLE, the exact one; keys of a leaf
EXACT = {"checks": -1, "eps": 0.0, "sorted": True}  # look at as many leaves as it takes

TREES = WeakTensorKeyDictionary()  # of keys that have been searched, as long as they are there


def tree_of(keys: Tensor) -> SearchTree | None:
    """The tree of (M, K) float32 keys that nobody changes, built when first asked for; None where one is not finite."""
    if keys not in TREES:
        finite = bool(keys.isfinite().all())
        TREES[keys] = SearchTree(keys.detach().numpy(), SINGLE_TREE) if finite else None
    return TREES[keys]


def nearest(tree: SearchTree, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the `count` keys that are nearest to each query, as many queries at a time as PyTorch has threads.

    Args:
        tree: of M keys, at least `count`.
        queries: (Q, K) float32, finite.

    Returns:
        (Q, count) squared distances, and (Q, count) indices of keys, nearest first.
    """

    def search(piece: Tensor) -> tuple[Tensor, Tensor]:
        index, distance = tree.knnSearch(piece.detach().numpy(), count, params=EXACT)
        return torch.from_numpy(distance), torch.from_numpy(index).long()

    pieces = queries.chunk(torch.get_num_threads())
    if len(pieces) == 1:
        return search(queries)
    with ThreadPoolExecutor(len(pieces)) as pool:
        distances, indices = zip(*pool.map(search, pieces), strict=True)
    return torch.cat(distances), torch.cat(indices)
