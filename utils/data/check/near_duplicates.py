"""Images that show the same: a signature of each by a cosine transform, and the pairs whose signatures are close.

The signature of an image is its low frequencies, which neither a change of size or shape nor a new compression alters
much. The distance of two is 1 - their correlation: 0 for the same image, about 1 for unrelated ones. On Kvasir-SEG and
CVC-ClinicDB (1,450 images), 0.045 is the least distance of two images from different sequences; copies at another
size or quality stay below 0.01, and neighboring frames of a video go from 0.01 up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["NEAR", "Duplicate", "find_duplicates", "signature_of"]

NEAR = 0.045  # the greatest distance of a near duplicate
SIDE = 32  # pixels to which an image is shrunk
FREQUENCIES = 16  # of each direction, which a signature holds
BLOCK = 1024  # images compared with all others at once
MOST_PAIRS = 100_000  # beyond that, a set is a video or a fault, and pairs tell nothing more

# higher frequencies carry little energy and much of what tells images of one camera apart: they count more
_ROW = np.arange(FREQUENCIES, dtype=np.float32)
WEIGHTS = np.sqrt(np.hypot(_ROW[:, None], _ROW[None]))  # 0 for the mean level


@dataclass(frozen=True)
class Duplicate:
    """Two images that show the same.

    Attributes:
        distance: 0 for equal bytes, up to the greatest that counts as near.
        first: place of one image in the list that was compared.
        second: place of the other, behind `first`.
        exact: whether the files' bytes are equal.
    """

    distance: float
    first: int
    second: int
    exact: bool = False


def signature_of(grey: np.ndarray) -> np.ndarray:
    """The signature of an image (H, W) uint8: (256,) float32 of length 1, or 0 where nothing is to be seen."""
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = (cv2.dct(small)[:FREQUENCIES, :FREQUENCIES] * WEIGHTS).ravel()
    length = float(np.linalg.norm(low))
    return low / length if length > 1 else np.zeros_like(low)


def find_duplicates(
    signatures: np.ndarray, hashes: Sequence[str], clips: Sequence[str | None], *, distance: float = NEAR
) -> list[Duplicate]:
    """Find the pairs of images that show the same, the closest first, at most `MOST_PAIRS` of them.

    Args:
        signatures: (N, 256), of each image.
        hashes: of each file's bytes.
        clips: the clip that each image is a frame of, None for stills; frames of one clip are not compared.
        distance: the greatest that counts.
    """
    clip_of, hash_of = (_numbered(labels) for labels in (clips, hashes))
    is_still = np.array([clip is None for clip in clips])
    found: list[Duplicate] = []
    for start in range(0, len(signatures), BLOCK):
        rows = slice(start, start + BLOCK)
        correlation = signatures[rows] @ signatures[start:].T
        exact = hash_of[rows, None] == hash_of[None, start:]
        other_clip = (clip_of[rows, None] != clip_of[None, start:]) | is_still[None, start:]
        near = np.triu(exact | (correlation >= 1 - distance), k=1) & other_clip
        for row, column in np.argwhere(near).tolist():
            same = bool(exact[row, column])
            apart = 0.0 if same else round(max(0.0, 1 - float(correlation[row, column])), 4)
            found.append(Duplicate(apart, start + row, start + column, same))
        found = sorted(found, key=lambda pair: (pair.distance, not pair.exact))[:MOST_PAIRS]
    return found


def _numbered(labels: Sequence[str | None]) -> np.ndarray:
    """A number for every label, equal ones for equal labels."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.array([numbers[label] for label in labels], dtype=np.int64)
