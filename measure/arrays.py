"""Scoring arrays in memory, without folders: one pair, or a data set that grows pair by pair.

    from measure import ScoreSet, score_pair

    score_pair(prediction, mask)["Dice"]
    scores = ScoreSet()
    for name, prediction, mask in pairs:
        scores.add(name, prediction, mask)
    scores.compute()["datasets"]

Keys and numbers are those of `scores.json`, as the command line writes it for the same files and options; with the
endocv protocol it scores maps as saved unless told otherwise, which here is `minmax=False`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .aggregation import DatasetAggregation, image_scores
from .io import FOREGROUND_ABOVE, InputError, counted, natural_key
from .metrics import PairScores, pair_scores
from .options import Options
from .protocols import SHORTEST_CASE

__all__ = ["ScoreSet", "score_pair"]


def score_pair(
    prediction: np.ndarray,
    mask: np.ndarray,
    *,
    protocol: str = "image",
    minmax: bool = True,
    border: bool = False,
    br_rate: int = 15,
    distances: bool = False,
    lesions: bool = False,
    calibration: bool = False,
) -> dict[str, float]:
    """Score one map against its mask.

    Args:
        prediction: the map, (H, W) uint8, 255 x probability.
        mask: the ground truth, (H, W) uint8, polyp above 128; of 0 and 1 alone, 1 is polyp, and a warning says so.
        protocol: "image", "endocv" (the challenge's score too) or "vps", whose S-measure takes another deviation.
        minmax: min-max normalize the map first, as published tables have it; False scores it as it is.
        border: also score the border region (`BR_mae`, `BR_wF`).
        br_rate: side of the square that widens the contour to the border region, pixels.
        distances: also score how far the outlines are apart, of the map cut at 0.5.
        lesions: also count lesions, those found, and false alarms.
        calibration: also score whether the levels are probabilities.

    Returns:
        The image's entry in `per_image` of `scores.json`; NaN where a score is not defined.

    Raises:
        InputError: arrays of another kind, or of two sizes, or a mask in which nothing is above 128 but 0 and 1.
    """
    wished = {"distances": distances, "lesions": lesions, "calibration": calibration}
    options = Options(protocol=protocol, minmax=minmax, border=border, br_rate=br_rate, **wished)
    return image_scores(_checked_scores(prediction, mask, options))


class ScoreSet:
    """Scores of one data set (VPS: of one split), from pairs that are added one at a time.

    Args:
        name: what `compute` calls the data set.
        protocol: "image" (mean over images) or "vps" (mean over frames, then cases; the first and the last frame of
            every case are dropped, as SUN-SEG's tool does).
        minmax: min-max normalize the maps first, as published tables have it.
        border: also score the border region.
        br_rate: side of the square that widens the contour to the border region, pixels.
        distances: also score how far the outlines are apart, of the map cut at 0.5.
        lesions: also score lesion by lesion.
        calibration: also score whether the levels are probabilities.
    """

    def __init__(
        self,
        name: str = "set",
        *,
        protocol: str = "image",
        minmax: bool = True,
        border: bool = False,
        br_rate: int = 15,
        distances: bool = False,
        lesions: bool = False,
        calibration: bool = False,
    ) -> None:
        self.name = name
        wished = {"distances": distances, "lesions": lesions, "calibration": calibration}
        self._options = Options(protocol=protocol, minmax=minmax, border=border, br_rate=br_rate, **wished)
        self._scores: dict[str, PairScores] = {}

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, name: str, prediction: np.ndarray, mask: np.ndarray) -> None:
        """Score a pair and keep its scores, 17 kB; the arrays are not kept.

        Args:
            name: of the image; in the VPS protocol `<case>/<frame>`.
            prediction: the map, (H, W) uint8, as in `score_pair`.
            mask: the ground truth, (H, W) uint8, as in `score_pair`.

        Raises:
            InputError: arrays of another kind or of two sizes, a name without a case (VPS), a name twice.
        """
        if name in self._scores:
            raise InputError(f"{name} was added twice; every image is scored once")
        if self._options.protocol == "vps" and not all(name.rpartition("/")[::2]):
            raise InputError(f"{name} was added; the vps protocol needs names of the form <case>/<frame>")
        self._scores[name] = _checked_scores(prediction, mask, self._options)

    def compute(self) -> dict[str, Any]:
        """Aggregate what was added so far; more may be added afterwards.

        Returns:
            The parts `datasets`, `curves`, `per_image`, `by_size` (VPS: `per_case` too) of `scores.json`, each a
            dictionary with the one key `name`.

        Raises:
            InputError: nothing was added, or a case has fewer than three frames (VPS).
        """
        if not self._scores:
            raise InputError("no pair was added; call add(name, prediction, mask) first")
        video = self._options.protocol == "vps"
        aggregation = DatasetAggregation(by_case=video)
        for name in self._frames_that_count() if video else self._scores:
            aggregation.add(name, self._scores[name])
        return {part: {self.name: value} for part, value in aggregation.result().items()}

    def _frames_that_count(self) -> list[str]:
        """Frames by case, in natural order, without the first and the last of each."""
        cases: dict[str, list[str]] = {}
        for name in sorted(self._scores, key=natural_key):
            cases.setdefault(name.rpartition("/")[0], []).append(name)
        for case, names in cases.items():
            if len(names) < SHORTEST_CASE:
                raise InputError(
                    f"{case} has {counted(len(names), 'frame')}, at least {SHORTEST_CASE} were expected: the first and "
                    "the last one are dropped by this protocol"
                )
        return [name for names in cases.values() for name in names[1:-1]]


def _checked_scores(prediction: np.ndarray, mask: np.ndarray, options: Options) -> PairScores:
    for kind, array in (("prediction", prediction), ("mask", mask)):
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 2 or not array.size:
            raise InputError(
                f"the {kind} is {_described(array)}; an array (H, W) of uint8 was expected, with levels from 0 to 255"
            )
    if prediction.shape != mask.shape:
        raise InputError(
            f"the prediction is {prediction.shape} and the mask {mask.shape}, height and width; resize one of them"
        )
    return pair_scores(np.ascontiguousarray(prediction), _levels_of(mask), **options.of_pairs())


def _levels_of(mask: np.ndarray) -> np.ndarray:
    """The mask with polyp above 128, by the rules that files are read by: see `io.masks`."""
    top = int(mask.max())
    if top == 1:
        warnings.warn("a mask holds 0 and 1, read as background and polyp", stacklevel=4)  # once per caller
        return np.ascontiguousarray(mask) * np.uint8(255)
    if 0 < top <= FOREGROUND_ABOVE:
        raise InputError(
            f"the mask is {top} at its brightest, polyp counts above {FOREGROUND_ABOVE}: pass 255 * (mask == {top})"
        )
    return np.ascontiguousarray(mask)


def _described(array: Any) -> str:
    return f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
