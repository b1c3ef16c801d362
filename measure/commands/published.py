"""Which definition a published row of scores fits: the same maps scored in every way that papers are known to.

Papers print one word, Dice, for numbers that differ by points on the same maps: soft, swept over thresholds, cut at
0.5, pooled over pixels, or averaged with the background as a second class; of maps stretched to full range or as
predicted; at the size of the mask or at the network's 352 x 352.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..aggregation import DatasetAggregation
from ..io import FOREGROUND_ABOVE, InputError, examine_masks, read_map
from ..metrics import PairScores, hard_scores, pair_scores
from ..options import Options
from ..parallel import map_in_order
from ..protocols import MapPair, find_datasets
from ..report import OVERLAP_PAIRS, is_share

__all__ = ["Definition", "PublishedNumber", "definitions_in", "impossibility", "parse_published", "score_definitions"]

NETWORK_SIZE = 352

_WITH_BACKGROUND = {
    "at 0.5, mean of polyp and background, over images": ("classDice", "classIoU"),
    "at 0.5, mean of polyp and background, pooled over pixels": ("pooledClassDice", "pooledClassIoU"),
}
_DICE_NAMES = {"dice", "mdice", "meandice", "dsc", "mdsc", "f1"}
_IOU_NAMES = {"iou", "miou", "meaniou", "jaccard", "ji"}


@dataclass(frozen=True)
class PublishedNumber:
    """A number as a paper prints it.

    Attributes:
        name: as given.
        key: "Dice", "IoU", or the key in `scores.json` of another score.
        value: of a share between 0 and 1, also where it was given in percent.
        rounding: half a unit of the last digit printed.
    """

    name: str
    key: str
    value: float
    rounding: float


@dataclass(frozen=True)
class Definition:
    """One way of scoring a data set.

    Attributes:
        text: in words.
        scores: `Dice`, `IoU` by this definition, and the scores that have one name alone, such as `MAE`.
        intervals: their 95 % intervals, where there are enough images.
    """

    text: str
    scores: dict[str, float]
    intervals: dict[str, list[float]]

    def distance(self, row: Sequence[PublishedNumber]) -> float:
        """The largest difference to a published row; infinite where a score of it is missing."""
        return max(abs(self.scores.get(number.key, math.inf) - number.value) for number in row)

    def fits(self, row: Sequence[PublishedNumber]) -> bool:
        """Whether every number of the row is this one rounded."""
        return all(abs(self.scores.get(n.key, math.inf) - n.value) <= 1.001 * n.rounding for n in row)

    def may_be_another_sample(self, row: Sequence[PublishedNumber]) -> bool:
        """Whether every number of the row lies in the interval of this one: as other images of the kind could give."""
        ends = [self.intervals.get(number.key) for number in row]
        return all(
            end and end[0] - n.rounding <= n.value <= end[1] + n.rounding for end, n in zip(ends, row, strict=True)
        )


def parse_published(text: str) -> list[PublishedNumber]:
    """Read `mDice=.8587,mIoU=.734`; values above 1 are percent, but of scores such as `HD95`, which are no shares.

    Raises:
        InputError: something else is given, or a name twice.
    """
    row = []
    for part in text.split(","):
        form = re.fullmatch(r"\s*([\w@.]+)\s*=\s*(\d{0,3}(?:\.(\d{0,9}))?)\s*(%?)\s*", part)
        if form is None or not form[2].strip("."):
            raise InputError(
                f"{part.strip()[:60]!r} was given; expected numbers as printed, such as mDice=.8587,mIoU=.734"
            )
        name, digits, value = form[1], len(form[3] or ""), float(form[2])
        plain = name.lower().replace("_", "")
        key = "Dice" if plain in _DICE_NAMES else "IoU" if plain in _IOU_NAMES else name
        share = is_share(key)
        if form[4] and not share:
            raise InputError(f"{name} is {form[2]} %; it is no share, give the number without the percent sign")
        if value > 100 and share:
            raise InputError(f"{name} is {form[2]}; scores lie between 0 and 1, or in percent between 0 and 100")
        scale = 100.0 if share and (form[4] or value > 1) else 1.0
        row.append(PublishedNumber(name, key, value / scale, 0.5 * 10.0**-digits / scale))
    if len({number.key for number in row}) < len(row):
        raise InputError(f"{text[:60]} names a score twice; give one row of a table")
    return row


def impossibility(row: Sequence[PublishedNumber]) -> str:
    """Why no set of maps can have both the Dice and the IoU of a row; "" where one can.

    Per image IoU = D / (2 - D), a convex function between 0 and 1, so the mean of IoU lies between D / (2 - D) and D of
    the mean Dice D.
    """
    values = {number.key: number for number in row}
    if not {"Dice", "IoU"} <= values.keys():
        return ""
    dice, iou = values["Dice"], values["IoU"]
    low, high = dice.value - dice.rounding, dice.value + dice.rounding
    floor = low / (2 - low)
    if floor - iou.rounding <= iou.value <= high + iou.rounding:
        return ""
    return (
        f"{iou.name} {iou.value:.4f} does not go with {dice.name} {dice.value:.4f}: of the same images it lies between "
        f"{floor:.4f} and {high:.4f}; the two are of different definitions, sets or runs"
    )


@dataclass(frozen=True)
class _Preparation:
    """What is done to a pair before it is scored.

    Attributes:
        stretched: min-max normalize the map.
        size: side to which map and mask are resized, pixels; None: the mask's own.
    """

    stretched: bool
    size: int | None

    @property
    def text(self) -> str:
        size = f"at {self.size} x {self.size}" if self.size else "at the mask's size"
        return f"{'stretched' if self.stretched else 'as saved'}, {size}"


_PREPARATIONS = tuple(_Preparation(stretched, size) for size in (None, NETWORK_SIZE) for stretched in (True, False))


def score_definitions(
    gt_root: str | Path, pred_root: str | Path, *, options: Options, workers: int = 1
) -> dict[str, list[Definition]]:
    """Score every data set by every definition.

    Raises:
        InputError: folders or files are not what the protocol expects, or cannot be read.
    """
    from ..statistics import Bootstrap  # needs scipy, which scoring does not

    datasets = find_datasets(gt_root, pred_root, options)
    pairs = [pair for dataset in datasets for pair in dataset.pairs]
    made = {
        (dataset.name, preparation): DatasetAggregation(
            by_case=options.protocol == "vps", bootstrap=Bootstrap(options.resamples, options.seed)
        )
        for dataset in datasets
        for preparation in _PREPARATIONS
    }
    confusion = dict.fromkeys(made, 0)
    for pair, scored in map_in_order(partial(_score_prepared, options=options), pairs, workers=workers):
        for preparation, scores in zip(_PREPARATIONS, scored, strict=True):
            made[pair.dataset, preparation].add(pair.stem, scores)
            confusion[pair.dataset, preparation] += scores.counts["confusion"]
    found: dict[str, list[Definition]] = {}
    for (name, preparation), aggregation in made.items():
        if aggregation.per_image:
            part = aggregation.result()
            pooled = _mean_of_classes(*confusion[name, preparation].tolist(), prefix="pooledClass")
            part["datasets"] = {**part["datasets"], **pooled}
            found.setdefault(name, []).extend(definitions_of(part, preparation.text, preparation.text))
    return found


def definitions_in(result: Mapping[str, Any]) -> dict[str, list[Definition]]:
    """The definitions that a `scores.json` holds, by data set."""
    stretched = bool(result.get("options", {}).get("minmax", True))
    parts = {
        name: {"datasets": scores, "intervals": result.get("intervals", {}).get(name, {})}
        for name, scores in result["datasets"].items()
    }
    at_half = _Preparation(False, None).text
    if stretched:
        at_half = f"Dice and IoU {at_half}, other scores stretched"
    texts = _Preparation(stretched, None).text, at_half
    return {name: list(definitions_of(part, *texts)) for name, part in parts.items()}


def definitions_of(part: Mapping[str, Any], text: str, text_at_half: str) -> Iterator[Definition]:
    """The definitions that a data set's scores hold.

    Args:
        part: with its `datasets` and, if any, `intervals`.
        text: how maps and masks were prepared.
        text_at_half: how they were for the scores at 0.5, which a scoring run takes of the maps as saved.
    """
    scores, intervals = part["datasets"], part.get("intervals", {})
    for title, keys in (OVERLAP_PAIRS | _WITH_BACKGROUND).items():
        if all(scores.get(key) is not None for key in keys):
            names = dict(zip(("Dice", "IoU"), keys, strict=True))
            yield Definition(
                f"{title}; {text_at_half if title.startswith('at 0.5') else text}",
                {**_known(scores), **{name: scores[key] for name, key in names.items()}},
                {**intervals, **{name: intervals[key] for name, key in names.items() if key in intervals}},
            )


def _known(scores: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if value is not None}


def _score_prepared(pair: MapPair, *, options: Options) -> list[PairScores]:
    mask = examine_masks(pair.mask, options.classes, [pair.label], options.layout.mask_values)[0].levels
    prediction = read_map(pair.prediction).levels
    if prediction.shape != mask.shape:
        prediction = cv2.resize(prediction, mask.shape[::-1])
    return [_scores(prediction, mask, preparation, options) for preparation in _PREPARATIONS]


def _scores(prediction: np.ndarray, mask: np.ndarray, preparation: _Preparation, options: Options) -> PairScores:
    """Scores of the prepared pair, with those averaged over polyp and background."""
    if preparation.size:
        side = (preparation.size, preparation.size)
        polyp = cv2.threshold(mask, FOREGROUND_ABOVE, 255, cv2.THRESH_BINARY)[1]
        prediction, mask = cv2.resize(prediction, side), cv2.resize(polyp, side)
    scores = pair_scores(prediction, mask, minmax=preparation.stretched, ddof=options.ddof)
    confusion = _confusion(prediction, mask) if preparation.stretched else scores.counts["confusion"].tolist()
    numbers = scores.numbers | hard_scores(*confusion) | _mean_of_classes(*confusion, prefix="class")
    return replace(scores, numbers=numbers, counts={"confusion": np.array(confusion)})


def _mean_of_classes(tp: int, fp: int, fn: int, tn: int, *, prefix: str) -> dict[str, float]:
    """Dice and IoU as the mean of the polyp's and the background's."""
    polyp, background = hard_scores(tp, fp, fn, tn), hard_scores(tn, fn, fp, tp)
    return {f"{prefix}{name}": (polyp[f"{name}@0.5"] + background[f"{name}@0.5"]) / 2 for name in ("Dice", "IoU")}


def _confusion(prediction: np.ndarray, mask: np.ndarray) -> tuple[int, int, int, int]:
    """TP, FP, FN, TN of the map cut half way between its extremes."""
    low, high = int(prediction.min()), int(prediction.max())
    cut = 2 * prediction.astype(np.int32) >= low + high if low < high else prediction >= 128
    polyp = mask > FOREGROUND_ABOVE
    tp, marked, foreground = (int(np.count_nonzero(x)) for x in (cut & polyp, cut, polyp))
    return tp, marked - tp, foreground - tp, polyp.size - marked - foreground + tp
