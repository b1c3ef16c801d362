"""Storing and merging the scores of pairs; nothing is computed from pixels here.

A run's result is one dictionary per method, of plain Python values, written to `scores.json`:

    format_version, protocol, method, options, versions, seconds
    datasets    {name: {metric: value}}                 what tables print
    counts      {name: {"images": n, other: [stems]}}   what was scored and what was odd about it
    cautions    [sentences]                             what a reader must know, from counts and options
    curves      {name: {curve: [256 values]}}           mean over images (cases), thresholds falling from 1 to 0
    per_image   {name: {stem: {metric: value}}}         VPS: the stem is case/frame; "size" is the polyp's share
    per_case    {name: {case: {metric: value}}}         VPS only
    by_size     {name: {size: {"images": n, metric: value}}}
    free_response   {name: {"levels", "sensitivity", "alarms_per_image": [values]}}     with lesions alone
    reliability {name: {"probability", "observed", "pixels": [15 values]}}              with calibration alone
    intervals   {name: {metric: [low, high]}}           95 %, of `datasets`; nothing of fewer than ten units
    best_threshold  {name: {"level", "interval", "Dice"}}    where the mean Dice is greatest, with intervals alone
    quartiles   {name: {metric: [q1, median, q3]}}      of the units that `datasets` averages: images, or cases
    units       {name: {"kind": "images", "number": n}} what was resampled: images, cases or groups; with groups also
                "ungrouped": names that are in none, where there are some

Axes: a curve is averaged over images (VPS: over a case's frames, then over cases); then `mean...` is its mean and
`max...` its maximum over thresholds. In `per_image`, both are of the image's own curve. NaN is carried into means and
is null in JSON; only the border-region scores, and distances `..._both`, skip the images that have none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io import GroupOf, natural_key
from ..metrics import (
    CURVES,
    ENDOCV_TERMS,
    SIZE_BOUNDS,
    PairScores,
    case_detection,
    detection_over_cases,
    free_response,
    pooled_scores,
    reliability,
)
from .mean_scores import MeanScores, curve_scores, image_scores, plain_scores

if TYPE_CHECKING:
    from ..statistics import Bootstrap

__all__ = ["FORMAT_VERSION", "SIZE_CLASSES", "DatasetAggregation", "size_class"]

FORMAT_VERSION = 1

NO_POLYP = "no polyp"
SIZE_CLASSES = {
    "small (under 5 %)": SIZE_BOUNDS[0],
    "medium (5 to 20 %)": SIZE_BOUNDS[1],
    "large (over 20 %)": math.inf,
}
"""Polyp sizes and the share of the frame below which each ends; 20 % itself is medium."""


MOST_CURVES = 4000
"""Units that keep their curves, 16 kB each; where there are more, the maxima over thresholds have no interval."""


def size_class(share: float) -> str:
    """Name of the size class of a polyp that fills `share` of the frame."""
    if share == 0.0:
        return NO_POLYP
    small, medium, large = SIZE_CLASSES
    return small if share < SIZE_CLASSES[small] else medium if share <= SIZE_CLASSES[medium] else large


class Units:
    """What is resampled for intervals: images, cases, or groups of either, each with the sums over what it holds.

    Attributes:
        by_name: the sums of each.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, MeanScores] = {}

    def add(self, name: str, numbers: dict[str, float], curves: np.ndarray, counts: Mapping[str, np.ndarray]) -> None:
        """Add an image or a case to a unit; what is linear in the curves becomes a number."""
        if name not in self.by_name:
            self.by_name[name] = MeanScores(with_curves=len(self.by_name) < MOST_CURVES)
            if len(self.by_name) == MOST_CURVES + 1:
                for unit in self.by_name.values():
                    unit.curve_sums = np.zeros((len(CURVES), 0))
        linear = {key: value for key, value in plain_scores(curve_scores(curves)).items() if not key.startswith("max")}
        self.by_name[name].add(numbers | linear, curves, counts)


class DatasetAggregation:
    """Collects one data set (VPS: one split) and gives its part of the result; per image only numbers are kept."""

    def __init__(
        self,
        *,
        by_case: bool,
        bootstrap: Bootstrap | None = None,
        group_of: GroupOf | None = None,
        fps: float = 30.0,
    ) -> None:
        """Begin an empty one.

        Args:
            by_case: average over the frames of each case, then over cases.
            bootstrap: for intervals of every score; None leaves them out.
            group_of: the group of an image (of a case, `by_case`) that is resampled as a whole.
            fps: frames per second of cases.
        """
        self._by_case = by_case
        self._bootstrap = bootstrap
        self._group_of = group_of
        self._fps = fps
        self._images = MeanScores()
        self._cases: dict[str, MeanScores] = {}
        self._sizes: dict[str, MeanScores] = {}
        self._units = Units()
        self._not_scored: list[str] = []
        self.per_image: dict[str, dict[str, float]] = {}

    def add(self, stem: str, scores: PairScores) -> None:
        """Add the scores of one pair; in the VPS protocol its stem is case/frame."""
        size = scores.numbers["size"]
        numbers = {name: value for name, value in scores.numbers.items() if name != "size"}
        self.per_image[stem] = image_scores(scores)
        means = [self._sizes.setdefault(size_class(size), MeanScores())]
        if self._by_case:
            means.append(self._cases.setdefault(stem.rpartition("/")[0], MeanScores()))
        else:
            means.append(self._images)
            if self._bootstrap:
                self._units.add(self._unit(stem), numbers, scores.curves, scores.counts)
        for mean in means:
            mean.add(numbers, scores.curves, scores.counts)

    def note_missing(self, stem: str) -> None:
        """Note that a pair could not be scored: frames around it do not follow one another."""
        self._not_scored.append(stem)

    def result(self) -> dict[str, Any]:
        """The data set's part of the result: keys `datasets`, `curves`, `per_image`, `by_size` (and `per_case`)."""
        mean = self._mean()
        part = {
            "datasets": mean.scores() | plain_scores(pooled_scores(mean.counts)),
            "curves": {name: curve.tolist() for name, curve in zip(CURVES, mean.curves, strict=True)},
            "per_image": self.per_image,
            "by_size": {
                name: {"images": self._sizes[name].count, **self._sizes[name].scores()}
                for name in (NO_POLYP, *SIZE_CLASSES)
                if name in self._sizes
            },
        }
        if self._by_case:
            part["per_case"] = {
                case: {"images": frames.count, **frames.scores()} for case, frames in self._cases.items()
            }
        if "free_response" in mean.counts:
            lesions = sum(scores["Lesions"] for scores in self.per_image.values())
            part["free_response"] = free_response(mean.counts["free_response"], lesions, len(self.per_image))
        if "EndoCVScore" in mean.sums:
            spreads = [np.std([scores[term] for scores in self.per_image.values()]) for term in ENDOCV_TERMS]
            part["datasets"]["EndoCVDeviation"] = float(np.mean(spreads))
        if "calibration" in mean.counts:
            part["reliability"] = reliability(mean.counts["calibration"])
        if self._by_case and "lesions" in mean.counts:
            self._follow_polyps(part)
        if self._bootstrap:
            part |= self._certainty(self._bootstrap)
        return part

    def _follow_polyps(self, part: dict[str, Any]) -> None:
        """Add to every case, and to the data set, when its polyp is found and how often alarms are false."""
        frames: dict[str, list[dict[str, float] | None]] = {case: [] for case in self._cases}
        every = {**self.per_image, **dict.fromkeys(self._not_scored)}
        for stem in sorted(every, key=natural_key):
            if (case := stem.rpartition("/")[0]) in frames:
                frames[case].append(every[stem])
        cases = {case: case_detection(scores, rate=self._fps) for case, scores in frames.items()}
        for case, scores in cases.items():
            part["per_case"][case] |= scores
        part["datasets"] |= detection_over_cases(list(cases.values()))

    def _certainty(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """Keys `intervals`, `best_threshold`, `quartiles` and `units`."""
        from .intervals import best_threshold, score_intervals, score_quartiles  # needs scipy, which scoring does not

        units = self._units
        if self._by_case:
            units = Units()
            for case, frames in self._cases.items():
                units.add(self._unit(case), frames.numbers, frames.curves, frames.counts)
        sums = list(units.by_name.values())
        averaged = {case: frames.scores() for case, frames in self._cases.items()} if self._by_case else self.per_image
        kind = "groups" if self._group_of else "cases" if self._by_case else "images"
        ungrouped = sum(self._group_of(name) is None for name in averaged) if self._group_of else 0
        return {
            "intervals": score_intervals(sums, bootstrap),
            "best_threshold": best_threshold(self._mean().curves, sums, bootstrap),
            "quartiles": score_quartiles(averaged.values()),
            "units": {"kind": kind, "number": len(sums), **({"ungrouped": ungrouped} if ungrouped else {})},
        }

    def _unit(self, name: str) -> str:
        """What an image or a case is resampled with; one in no group stands alone."""
        group = self._group_of(name) if self._group_of else None
        return name if group is None else f"group {group}"

    def _mean(self) -> MeanScores:
        """Mean over images, or over the cases' means over frames."""
        if not self._by_case:
            return self._images
        mean = MeanScores()
        for frames in self._cases.values():
            mean.add(frames.numbers, frames.curves, frames.counts)
        return mean
