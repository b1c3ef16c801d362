"""Folders of images and masks as data sets: pairs by stem, a held-out part, samples drawn by (epoch, index).

Every sample has a random generator of its own, seeded by (seed, epoch, index): what is drawn does not depend on the
number of workers or on what was drawn before, so a run resumes exactly and workers carry no state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from measure.io import Classes

from .augmentation import Augmentation, Size, augment
from .pairs import Pair
from .preprocessing import resize, to_chw

__all__ = ["DecodedPair", "EvaluationData", "TrainingData", "decode_pair"]


def read_target(pair: Pair, classes: Classes | None) -> np.ndarray:
    """Read what a network is to learn, uint8: the mask (H, W), or of several classes (H, W, K), a plane each."""
    return classes.read_planes(pair.mask) if classes else pair.read_mask()


@dataclass(frozen=True)
class DecodedPair:
    """An image and its mask, at their own size or shrunk.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        mask: (h, w) or (h, w, K) uint8.
        size: height and width of the files themselves, pixels.
    """

    image: np.ndarray
    mask: np.ndarray
    size: Size


def decode_pair(pair: Pair, classes: Classes | None) -> DecodedPair:
    """Read a pair at its own size.

    Raises:
        InputError: a file cannot be read.
    """
    image, mask = pair.read_image(), read_target(pair, classes)
    return DecodedPair(image, mask, mask.shape[:2])


class TrainingData(Dataset):
    """Augmented samples, addressed by (epoch, index): {"image": (3, S, S), "mask": (K, S, S)}, uint8, K planes.

    Masks keep the grey levels that resizing gives their borders, as in the released loader.

    Args:
        pairs: of files, all of one kind of mask.
        size: S, height and width of the samples, pixels.
        seed: of all draws.
        augmentation: drawn at the images' own size, as if the resize came last.
        classes: what the values of masks stand for; None: masks are grey.
        read: decodes a pair, and may keep what it decodes (see `cache`); None: decodes at every call.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        size: int,
        seed: int,
        augmentation: Sequence[Augmentation],
        classes: Classes | None = None,
        read: Callable[[Pair], DecodedPair] | None = None,
    ):
        self.pairs = list(pairs)
        self.size = (size, size)
        self.seed = seed
        self.augmentation = tuple(augmentation)
        self.read = read or partial(decode_pair, classes=classes)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Tensor]:
        if not isinstance(draw, tuple):
            raise TypeError(
                f"sample {draw} was asked for; samples are addressed by (epoch, index), as TrainingBatches gives them "
                "to a DataLoader's batch_sampler: an index alone would be augmented alike in every epoch"
            )
        epoch, index = draw
        rng = np.random.default_rng((self.seed, epoch, index))
        found = self.read(self.pairs[index])
        image, mask = augment(
            found.image,
            found.mask,
            [rng] * len(self.augmentation),
            self.augmentation,
            size=self.size,
            own_size=found.size,
        )
        return {"image": to_chw(image), "mask": to_chw(mask)}


class EvaluationData(Dataset):
    """Images at the network's size and their masks at their own: {"image": (3, S, S), "mask": (K, H, W)}, uint8."""

    def __init__(self, pairs: Sequence[Pair], *, size: int, classes: Classes | None = None):
        self.pairs = list(pairs)
        self.size = (size, size)
        self.classes = classes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        pair = self.pairs[index]
        image, mask = pair.read_image(), read_target(pair, self.classes)
        return {"image": resize(to_chw(image), self.size), "mask": to_chw(mask)}

    @staticmethod
    def collate(samples: list[dict[str, Tensor]]) -> dict[str, Tensor | list[Tensor]]:
        """Images as a batch; masks as a list, since their sizes differ."""
        return {"image": torch.stack([s["image"] for s in samples]), "mask": [s["mask"] for s in samples]}
