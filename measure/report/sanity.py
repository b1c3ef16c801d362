"""What a reader must know before trusting a row of scores, in sentences; `scores.json` keeps them as `cautions`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..io import counted, mask_notes
from .columns import OVERLAP_PAIRS
from .tables import Result, dataset_names, score_value

__all__ = ["cautions", "impossible_pairs", "looks_normalized"]

_COUNTED = {
    "missing_maps": ("map was missing and left out of every mean", "maps were missing and left out of every mean"),
    "unreadable": (
        "map or mask could not be read and was left out of every mean",
        "maps or masks could not be read and were left out of every mean",
    ),
    "extra_maps": ("map has no mask and was passed over", "maps have no mask and were passed over"),
    "shared_names": (
        "name is in another data set too, where --groups gives it the same group; is the file of both?",
        "names are in other data sets too, where --groups gives them the same groups; is the file of all these sets?",
    ),
    "short_cases": (
        "case of fewer than three frames was left out",
        "cases of fewer than three frames were left out",
    ),
}
_COUNTED_OF_IMAGES = {
    "grey_masks": (
        "mask has more than two levels; it was cut at 128",
        "masks have more than two levels; they were cut at 128",
    ),
    "resized_maps": (
        "map had another size than its mask and was resized in memory",
        "maps had another size than their mask and were resized in memory",
    ),
    "no_contour": (
        "image has no contour and no border-region score",
        "images have no contour and no border-region score",
    ),
    "tiny_masks": (
        "mask is less than 8 pixels high or wide, too small for most scores to mean much",
        "masks are less than 8 pixels high or wide, too small for most scores to mean much",
    ),
    "tagged_masks": (
        "mask carries an Exif orientation; masks and maps were compared as stored, unturned",
        "masks carry an Exif orientation; masks and maps were compared as stored, unturned",
    ),
    "tagged_images": (
        "image carries another Exif orientation than its mask; maps made of it may be turned against the mask",
        "images carry another Exif orientation than their masks; maps made of them may be turned against the masks",
    ),
    "shallow_maps": (
        "map is a 16-bit file with values below 256, which read as black; write 8 bits",
        "maps are 16-bit files with values below 256, which read as black; write 8 bits",
    ),
    "maps_in_alpha": (
        "map is one level throughout and its alpha channel varies; it is not read, so save the map as grey levels",
        "maps are one level throughout and their alpha channel varies; it is not read, so save the map as grey levels",
    ),
    "color_maps": (
        "map is a color picture, whose brightness was scored as probability; save 255 x probability as grey",
        "maps are color pictures, whose brightness was scored as probability; save 255 x probability as grey",
    ),
}
"""Counts worth a warning where they are not zero. Frames dropped by the video protocol are its rule, not a fault."""

EMPTY_CONVENTION = (
    "Images with an empty mask count in the means: scores at 0.5 are 1 where nothing is marked and else 0, soft Dice "
    "and IoU 1 or near 0, swept scores and F always 0."
)

_ROUNDING = 1e-9

FEWEST_TO_JUDGE = 5
"""Maps that must all reach 0 and 255 before they are taken for min-max normalized ones."""


def cautions(results: Sequence[Result]) -> list[str]:
    """Sentences about odd masks and maps, normalized maps, empty masks, impossible pairs of scores.

    What is true of every method is said once; otherwise the methods are named.
    """
    methods: dict[str, list[str]] = {}
    for result in results:
        for sentence in _sentences(result):
            methods.setdefault(sentence, []).append(result["method"])
    said = [
        sentence if len(named) == len(results) else f"{', '.join(named)}: {sentence}"
        for sentence, named in methods.items()
    ]
    return [*said, *_of_other_images(results)]


def _of_other_images(results: Sequence[Result]) -> Iterator[str]:
    """Data sets of which the methods were scored on different images."""
    for name in dataset_names(results):
        images = {r["method"]: r["per_image"][name] for r in results if r.get("per_image", {}).get(name)}
        if len({frozenset(stems) for stems in images.values()}) > 1:
            numbers = ", ".join(f"{method} on {len(stems)}" for method, stems in images.items())
            yield (
                f"{name}: the methods were not scored on the same images ({numbers}), so that their means, and the "
                "marks of the best, say little; a comparison of the same run is over the images that all of them have."
            )


def impossible_pairs(scores: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Pairs of Dice and IoU that no set of maps can have, with the IoU's lower bound.

    Per image IoU = D / (2 - D), a convex function, so a mean IoU is at least D / (2 - D) of the mean Dice D
    (Jensen's inequality); it holds at every threshold and therefore for the mean and maximum over thresholds too.
    """
    found = []
    for dice, iou in OVERLAP_PAIRS.values():
        mean = score_value(scores, dice)
        floor = mean / (2 - mean)
        if score_value(scores, iou) < floor - _ROUNDING:
            found.append((dice, iou, floor))
    return found


def looks_normalized(result: Result) -> str:
    """What shows that the maps were min-max normalized before they were saved; "" where nothing does."""
    record = result.get("options", {}).get("prediction")
    options = record.get("options") if isinstance(record, Mapping) else None
    minmax = options.get("minmax") if isinstance(options, Mapping) else None
    if minmax is not None:
        return "were min-max normalized when they were saved (predict.json)" if minmax is True else ""
    counts = result.get("counts", {}).values()
    maps = sum(_amount(values.get("images")) for values in counts)
    full = sum(_amount(values.get("full_range_maps")) for values in counts)
    return "all reach both 0 and 255, as min-max normalized ones do" if full == maps >= FEWEST_TO_JUDGE else ""


def _sentences(result: Result) -> Iterator[str]:
    normalized = looks_normalized(result)
    if normalized:
        yield (
            f"The maps {normalized}, so their levels are no probabilities and every map shows something: scores at 0.5 "
            "mean little; myTest.py --no-minmax writes calibrated maps."
        )
        if any("ECE" in scores for scores in result["datasets"].values()):
            yield (
                "ECE, Brier score and the reliability diagram judge probabilities, which stretched maps do not hold; "
                "predict with --no-minmax and score again."
            )
    for name, counts in result.get("counts", {}).items():
        for sentence in _of_dataset(counts, bool(normalized)):
            yield f"{name}: {sentence}{'' if sentence.endswith('?') else '.'}"
    if any(_amount(counts.get("empty_masks")) for counts in result.get("counts", {}).values()):
        yield EMPTY_CONVENTION
    for name, units in result.get("units", {}).items():
        level = "per_case" if result.get("per_case", {}).get(name) else "per_image"
        if units["kind"] == "groups" and units["number"] == len(result.get(level, {}).get(name, ())):
            yield f"{name}: no two of its {units['number']} names share a group; look at --groups or --group_pattern."
        elif units.get("ungrouped"):
            alone = counted(units["ungrouped"], "name is in no group and counts", "names are in no group and count")
            yield f"{name}: {alone} as if they were independent; look at --groups or --group_pattern."
        if units["kind"] == "groups" and not result.get("intervals", {}).get(name):
            number = counted(units["number"], "group is", "groups are")
            yield f"{name}: {number} too few for intervals or tests; ten are the least."
    for name, scores in result["datasets"].items():
        for dice, iou, floor in impossible_pairs(scores):
            yield (
                f"{name}: {iou} {score_value(scores, iou):.4f} is below {floor:.4f}, the least that {dice} "
                f"{score_value(scores, dice):.4f} allows; one of the two was not computed from these maps."
            )


def _of_dataset(counts: Mapping[str, Any], normalized: bool) -> Iterator[str]:
    amounts = {key: _amount(value) for key, value in counts.items()}
    images = amounts.get("images", 0)
    for key, words in (_COUNTED_OF_IMAGES | _COUNTED).items():
        if amounts.get(key):
            yield counted(amounts[key], *words, of=images if key in _COUNTED_OF_IMAGES else None)
    kinds = {kind: amounts.get(f"{kind}_masks", 0) for kind in ("zero_one", "empty", "full", "large")}
    yield from mask_notes(masks=images, **kinds)
    if kinds["empty"]:
        marked = amounts.get("marked_empty_masks", 0)
        told = (
            f"{counted(kinds['empty'], 'mask is', 'masks are')} empty, and the maps of {marked} of these images mark "
            "something at 0.5"
        )
        yield told + (", as min-max normalized maps do: they cannot count false alarms" if normalized else "")
    explained = any(amounts.get(kind) for kind in ("shallow_maps", "maps_in_alpha", "color_maps"))
    if not explained and images > kinds["empty"]:
        if amounts.get("constant_maps") == images:
            yield "every map is one level throughout; are these the right maps?"
        elif amounts.get("dark_maps") == images:
            yield (
                "every map stays below level 128, so nothing is marked at 0.5; were they saved as 0 and 1? A map holds "
                "255 x probability"
            )


def _amount(value: Any) -> int:
    """A count, given as a number or as the list of what was counted."""
    return int(value) if np.isscalar(value) else len(value or ())
