"""What is measured of every pair that a check looks at, and the summaries of a part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from measure import size_class
from measure.io import FOREGROUND_ABOVE, ImageHeader, MaskFile

from ..inspection import ALMOST_ALL, DataFault, ImageFile
from .near_duplicates import signature_of

__all__ = ["PairStatistics", "measure_pair", "summarize_part", "thumbnail"]

DARK = 20  # level up to which all channels of a pixel in an endoscope's border stay
QUANTILES = (0.05, 0.5, 0.95)
THUMBNAIL = 144  # pixels, height
SMALLEST = 100  # pixels of the shorter side of what is measured
REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


@dataclass(frozen=True, eq=False)
class PairStatistics:
    """What was measured of a pair.

    Attributes:
        image: header of the image's file.
        mask: header of the mask's file.
        hash: of the image's bytes.
        polyp: fraction of the frame that is polyp.
        between: fraction of the mask's pixels whose level is neither 0 nor the highest.
        zero_one: whether the mask holds 0 and 1.
        polyps: how many connected regions of polyp there are.
        brightness: mean grey level of the image, 0 to 255.
        border: fraction of the image that is dark and touches its edge.
        signature: see `signature_of`.
    """

    image: ImageHeader
    mask: ImageHeader
    hash: str
    polyp: float
    between: float
    zero_one: bool
    polyps: int
    brightness: float
    border: float
    signature: np.ndarray


def measure_pair(image: ImageFile, mask: ImageFile, found: MaskFile) -> PairStatistics:
    """Measure a pair whose files fit together; large images are decoded at a half to an eighth of their size.

    Raises:
        DataFault: the image cannot be decoded.
    """
    small = decode_small(image)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    levels = found.levels
    highest = int(levels.max())
    return PairStatistics(
        image=image.header,
        mask=mask.header,
        hash=image.hash,
        polyp=found.polyp,
        between=1 - float(np.count_nonzero((levels == 0) | (levels == highest))) / levels.size,
        zero_one=found.zero_one,
        polyps=cv2.connectedComponents(cv2.compare(levels, FOREGROUND_ABOVE, cv2.CMP_GT))[0] - 1,
        brightness=float(cv2.mean(grey)[0]),
        border=dark_border(small),
        signature=signature_of(grey),
    )


def decode_small(image: ImageFile) -> np.ndarray:
    """The image, (h, w, 3) uint8 BGR, at its size or at a half, a quarter or an eighth of it.

    JPEG decodes these at a fraction of the cost.

    Raises:
        DataFault: it cannot be decoded.
    """
    shorter = min(image.header.width, image.header.height)
    flag = next((flag for factor, flag in REDUCED.items() if shorter >= SMALLEST * factor), cv2.IMREAD_COLOR)
    try:
        small = cv2.imdecode(np.frombuffer(image.content, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        small = None
    if small is None or small.size == 0:
        raise DataFault(
            f"cannot read {image.path}: it is damaged or no image that OpenCV knows",
            kind="unreadable",
            files=[image.path],
        )
    return small


def dark_border(image: np.ndarray) -> float:
    """Fraction of an image (h, w, 3) that is dark and connected with its edge."""
    dark = np.pad((image.max(axis=2) <= DARK).astype(np.uint8), 1, constant_values=1)
    _, labels = cv2.connectedComponents(dark)
    return (np.count_nonzero(labels == labels[0, 0]) - 2 * sum(dark.shape) + 4) / (image.shape[0] * image.shape[1])


def thumbnail(image: ImageFile) -> bytes:
    """The image as a small JPEG."""
    small = decode_small(image)
    width = max(1, round(THUMBNAIL * small.shape[1] / small.shape[0]))
    shown = cv2.resize(small, (width, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def summarize_part(pairs: Sequence[PairStatistics]) -> dict[str, Any]:
    """Counts and distributions of a part's pairs, as plain data."""
    polyp = np.array([pair.polyp for pair in pairs])
    shown = polyp[polyp > 0]
    return {
        "images": len(pairs),
        "sizes": counted(f"{pair.image.width} x {pair.image.height}" for pair in pairs),
        "image_kinds": counted(kind_of(pair.image) for pair in pairs),
        "mask_kinds": counted(kind_of(pair.mask) + ", 0 and 1" * pair.zero_one for pair in pairs),
        "masks_empty": int((polyp == 0).sum()),
        "masks_full": int((polyp > ALMOST_ALL).sum()),
        "masks_with_levels_between": sum(pair.between > 0 for pair in pairs),
        "several_polyps": sum(pair.polyps > 1 for pair in pairs),
        "polyp_sizes": counted(map(size_class, polyp.tolist())),
        "polyp_fraction": spread(shown),
        "brightness": spread([pair.brightness for pair in pairs]),
        "border_fraction": spread([pair.border for pair in pairs]),
    }


def counted(texts: Any) -> dict[str, int]:
    """How often each text comes, the most common first."""
    return dict(Counter(texts).most_common())


def kind_of(header: ImageHeader) -> str:
    """`JPEG, color`, `PNG, grey 16 bits`, `PNG, palette`."""
    color = "palette" if header.palette else "color" if header.channels >= 3 else "grey"
    alpha = " with alpha" if header.alpha else ""
    return f"{header.kind}, {color}{alpha}" + (f" {header.bits} bits" if header.bits != 8 else "")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, and the 5th, 50th and 95th percentile; empty for no values."""
    if len(values) == 0:
        return {}
    low, median, high = np.quantile(values, QUANTILES)
    return {
        name: round(float(v), 4) for name, v in (("mean", np.mean(values)), ("5%", low), ("50%", median), ("95%", high))
    }
