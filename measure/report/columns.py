"""What every column of a report means, which of its ends is better, and which paper's table prints it.

Two definitions of the same word differ by up to twelve points of Dice on the same maps, so a column is known by the
key that `scores.json` uses, and its definition stands beside it wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "FAMILIES",
    "OVERLAP_PAIRS",
    "PAPER_TABLES",
    "TOOL_TABLES",
    "Column",
    "column_of",
    "families_of",
    "headline_keys",
    "is_share",
    "mean_metrics",
    "papers_of",
]


@dataclass(frozen=True)
class Column:
    """One score.

    Attributes:
        key: its name in `scores.json`.
        latex: its symbol in LaTeX.
        text: its definition in plain words.
        higher_is_better: which end is; None for a number that tells no better from worse.
        digits: decimals in tables; files of numbers keep full precision.
    """

    key: str
    latex: str
    text: str
    higher_is_better: bool | None = True
    digits: int = 3  # as this field's papers print

    @property
    def arrow(self) -> str:
        """Which end is better, as tables show it."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    @property
    def title(self) -> str:
        """The key and which end is better."""
        return f"{self.key} {self.arrow}".rstrip()


def _swept(key: str, latex: str, name: str, formula: str) -> Column:
    """A column averaged (`mean...`) or maximized (`max...`) over thresholds after the images were averaged."""
    taken = "mean" if key.startswith("mean") else "maximum"
    text = f"{name}: the curve of {formula} over 256 thresholds, averaged over images (video: frames, then cases)"
    return Column(key, latex, f"{text}; then its {taken} over the thresholds.")


def _hard(key: str, latex: str, formula: str) -> Column:
    """A column of the maps cut at level 128, as saved, per image."""
    return Column(key, latex, f"{formula}, map cut at 0.5 (level 128, as saved), per image, then the mean.")


def _pooled(key: str, latex: str, formula: str) -> Column:
    """A column of the counts summed over a data set, so that large polyps weigh more."""
    return Column(key, latex, f"{formula}, map cut at 0.5, of the pixel counts summed over the whole set.")


_DICE, _IOU = "2 TP / (|B| + |g|)", "TP / (|B| + FN)"

_STRUCTURE = (
    Column(
        "Smeasure",
        r"$S_\alpha$",
        "S-measure, alpha 0.5: mean of an object-aware and a region-aware similarity.",
    ),
    Column(
        "wFmeasure",
        r"$F_\beta^w$",
        "Weighted F (Margolin et al.), beta² 1: errors weighed by place and distance.",
    ),
    Column("MAE", r"$\mathcal{M}$", "Mean absolute error |p - g| over pixels; lower is better.", False),
    Column("adpEm", r"$E_\phi^{ad}$", "E-measure at the adaptive threshold min(2 mean p, 1)."),
    _swept("meanEm", r"$E_\phi^{mn}$", "Mean E", "the E-measure (alignment of map and mask)"),
    _swept("maxEm", r"$E_\phi^{mx}$", "Max E", "the E-measure (alignment of map and mask)"),
    Column("adpFm", r"$F_\beta^{ad}$", "F-measure, beta² 0.3, at the adaptive threshold min(2 mean p, 1)."),
    _swept("meanFm", r"$F_\beta^{mn}$", "Mean F", "F = 1.3 P R / (0.3 P + R)"),
    _swept("maxFm", r"$F_\beta^{mx}$", "Max F", "F = 1.3 P R / (0.3 P + R)"),
)
_SOFT = (
    Column("Dice", "Dice", "Soft Dice, no threshold: (2 Σpg + 1) / (Σp + Σg + 1) per image, then the mean."),
    Column("IoU", "IoU", "Soft IoU, no threshold: (Σpg + 1) / (Σ(p + g - pg) + 1) per image, then the mean."),
)
_SWEPT = (
    Column("fnr", "FNR", "False negative rate: mean over 256 thresholds of 1 - recall; lower is better.", False),
    _swept("meanDice", "mDice", "Mean Dice", f"Dice = {_DICE}"),
    _swept("maxDice", "maxDice", "Max Dice", f"Dice = {_DICE}"),
    _swept("meanIoU", "mIoU", "Mean IoU", f"IoU = {_IOU}"),
    _swept("maxIoU", "maxIoU", "Max IoU", f"IoU = {_IOU}"),
    _swept("meanSen", "mSen", "Mean sensitivity", "TP / |g|"),
    _swept("maxSen", "maxSen", "Max sensitivity", "TP / |g|"),
    _swept("meanSpe", "mSpe", "Mean specificity", "TN / (TN + FP) (0 where map and mask do not overlap)"),
    _swept("maxSpe", "maxSpe", "Max specificity", "TN / (TN + FP) (0 where map and mask do not overlap)"),
)
_HARD = (
    _hard("Dice@0.5", "Dice$_{0.5}$", "Dice = 2 TP / (2 TP + FP + FN)"),
    _hard("IoU@0.5", "IoU$_{0.5}$", "IoU = TP / (TP + FP + FN)"),
    _hard("Precision@0.5", "Prec.$_{0.5}$", "Precision = TP / (TP + FP)"),
    _hard("Recall@0.5", "Rec.$_{0.5}$", "Recall = TP / (TP + FN)"),
    _hard("F2@0.5", "F2$_{0.5}$", "F2 = 5 P R / (4 P + R)"),
    _hard("Accuracy@0.5", "Acc.$_{0.5}$", "Accuracy = (TP + TN) / pixels"),
)
_POOLED = tuple(
    _pooled(f"pooled{hard.key}", hard.latex.replace("{0.5}", r"{\mathrm{pool}}"), hard.text.split(",")[0])
    for hard in _HARD
)
_BORDER = (
    Column(
        "BR_mae",
        "BR MAE",
        "A third of the MAE inside a band around the mask's contour; lower is better.",
        False,
    ),
    Column("BR_wF", r"BR $F_\beta^w$", "Weighted F inside a band around the mask's contour."),
)

_OUTLINES = (
    ("HD", "HD", "Hausdorff distance: the greatest distance between the outlines, pixels"),
    ("HD95", "HD$_{95}$", "The larger of the two directions' 95th percentiles (MONAI, DeepMind), pixels"),
    ("HD95_pooled", r"HD$_{95}^{\mathrm{pool}}$", "95th percentile of both directions' distances (medpy), pixels"),
    ("ASSD", "ASSD", "Mean distance of all outline pixels of either to the other (medpy's assd), pixels"),
    ("MASD", "MASD", "Mean of the two directions' mean distances, pixels"),
    ("NSD", "NSD", "Share of both outlines' pixels within --nsd_tolerance (2 pixels unless given) of the other"),
    (
        "NSD_scaled",
        "NSD$_{352}$",
        "NSD, its tolerance in proportion to the diagonal: --nsd_tolerance on 352 x 352",
    ),
    ("BoundaryIoU", "B-IoU", "IoU of the rims within 2 % of the diagonal of the outside (CVPR 2021)"),
)
"""Columns of the outlines of mask and cut map: key, LaTeX, formula."""


def _outline(key: str, latex: str, formula: str, *, where_both: bool) -> Column:
    """A column of the outlines, averaged over all images or over those where mask and map both hold polyp."""
    is_distance = key not in ("NSD", "NSD_scaled", "BoundaryIoU")
    one_empty, both_empty = ("the diagonal", 0) if is_distance else (0, 1)
    over, ending = f"all images: {one_empty} where one of mask and map is empty, {both_empty} where both are", ""
    if where_both:
        over, ending = "the images where both hold polyp", "_both"
    text = f"{formula}; map cut at --threshold (0.5 unless given), per image, then the mean over {over}."
    return Column(key + ending, latex, text, not is_distance, digits=2 if is_distance else 3)


_DISTANCES = tuple(_outline(*names, where_both=False) for names in _OUTLINES)
_DISTANCES_WHERE_BOTH = (
    *(_outline(*names, where_both=True) for names in _OUTLINES),
    Column("OneEmpty", "one empty", "Images where mask or cut map is empty and the other is not.", None, digits=0),
    Column("BothEmpty", "both empty", "Images where mask and cut map are both empty.", None, digits=0),
)

_RULE = (
    "pooled over the set; a lesion is found where a region of the map, cut at --threshold, overlaps it (--lesion_rule)"
)


def _lesions(ending: str, rule: str) -> tuple[Column, ...]:
    """The columns of one rule of what is found."""
    latex = {"": "", "@.25": "$_{.25}$", "@.5": "$_{.5}$"}[ending]
    alarms = "Regions of the map that belong to no lesion, per image"
    return (
        Column(f"LesionSensitivity{ending}", f"Sen.{latex} (lesion)", f"Lesions found / lesions, {rule}."),
        Column(f"LesionPrecision{ending}", f"Prec.{latex} (lesion)", f"Found / (found + false alarms), {rule}."),
        Column(f"LesionF1{ending}", f"F1{latex} (lesion)", f"2 found / (lesions + found + false alarms), {rule}."),
        Column(f"LesionF2{ending}", f"F2{latex} (lesion)", f"5 found / (4 lesions + found + false alarms), {rule}."),
        Column(f"FalseAlarmsPerImage{ending}", f"FA/image{latex}", f"{alarms}, {rule}.", False),
    )


_LESIONS = (
    *_lesions("", _RULE),
    *_lesions("@.25", "pooled over the set, lesions and regions paired one to one by IoU, from 0.25 on"),
    *_lesions("@.5", "pooled over the set, lesions and regions paired one to one by IoU, from 0.5 on"),
    *(
        Column(f"LesionSensitivity_{size}", f"Sen. ({size})", f"Found / lesions of {size} ones ({bounds}).")
        for size, bounds in (("small", "under 5 % of the frame"), ("medium", "5 to 20 %"), ("large", "over 20 %"))
    ),
    Column("ImageSpecificity", "Spe. (image)", "Images without polyp with nothing marked / images without polyp."),
)
_POLYPS = (
    Column("PolypSensitivity", "Sen. (polyp)", "Share of the cases whose polyp is found in at least one frame."),
    Column("PolypSensitivity_half", "Sen. (half)", "Share of the cases whose polyp is found in half of its frames."),
    Column("FramesDetected", "frames", "Share of a case's frames with polyp in which it is found."),
    Column(
        "FirstDetection",
        "latency",
        "Frames from the polyp's first one to its first detection, mean over the cases with one.",
        False,
        digits=1,
    ),
    Column("FirstDetection_seconds", "latency (s)", "FirstDetection in seconds, at --fps.", False, digits=2),
    Column("AlarmBursts", "bursts", "Runs of consecutive frames with a false alarm, mean over cases.", False, digits=1),
    Column(
        "FrameAgreement",
        "agreement",
        "IoU of the maps of consecutive frames whose masks have an IoU of 0.9 or more, mean over a case, then cases.",
    ),
    Column(
        "WarpedAgreement",
        "warped",
        "IoU of a map and the one before, moved along the optical flow of the images (DIS), mean over cases.",
    ),
    Column(
        "Flicker",
        "flicker",
        "How often per second maps begin or cease to mark anything though the masks do not, mean over cases.",
        False,
    ),
    Column("LongestBurst", "longest", "Frames of the longest run of false alarms, mean over cases.", False, digits=1),
)

_CALIBRATION = (
    Column("ECE", "ECE", "Expected calibration error, 15 bins of the saved p, per image, then the mean.", False),
    Column("pooledECE", "ECE (pool)", "Expected calibration error over the pixels of the whole set, 15 bins.", False),
    Column("Brier", "Brier", "Mean of (p - g)² over pixels, p as saved, per image, then the mean.", False),
)

_ENDOCV = (
    Column(
        "EndoCVScore",
        "EndoCV",
        "EndoCV2021's score: mean of Dice, F2, precision and recall at 0.5, per image, then the mean.",
    ),
    Column(
        "EndoCVDeviation",
        "EndoCV dev.",
        "EndoCV2021's deviation: mean of the standard deviations of these four over the images.",
        False,
    ),
)

FAMILIES: dict[str, tuple[Column, ...]] = {
    "Structure": _STRUCTURE,
    "Soft, no threshold": _SOFT,
    "Swept over 256 thresholds": _SWEPT,
    "At threshold 0.5, per image": _HARD,
    "At threshold 0.5, pooled over pixels": _POOLED,
    "EndoCV2021": _ENDOCV,
    "Border region": _BORDER,
    "Boundary distance, every image": _DISTANCES,
    "Boundary distance, where mask and map hold polyp": _DISTANCES_WHERE_BOTH,
    "Lesions": _LESIONS,
    "Polyps in video": _POLYPS,
    "Calibration": _CALIBRATION,
}
"""Every known column, in the order tables show them, by the definition they share."""

OTHER_FAMILY = "Other"

_STRUCTURE_KEYS = tuple(known.key for known in _STRUCTURE)

TOOL_TABLES: dict[str, tuple[str, ...]] = {
    "image": (*_STRUCTURE_KEYS, "fnr", "Dice", "IoU"),
    "vps": (
        *_STRUCTURE_KEYS,
        *("meanSen", "maxSen", "meanSpe", "maxSpe", "meanDice", "maxDice", "meanIoU", "maxIoU"),
    ),
    "endocv": (
        *("IoU@0.5", "Dice@0.5", "F2@0.5", "Precision@0.5", "Recall@0.5", "Accuracy@0.5"),
        *("EndoCVScore", "EndoCVDeviation"),
    ),
}
"""Per protocol: the columns the released scoring tool prints, in its order."""

PAPER_TABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "image": {
        "SEPNet": ("Dice", "IoU", "Smeasure", "wFmeasure", "meanEm", "MAE"),
        "PraNet": ("meanDice", "meanIoU", "wFmeasure", "Smeasure", "maxEm", "MAE"),
        "ConvSegNet, DilatedSegNet": tuple(hard.key for hard in _HARD),
        "SCR-Net (threshold not stated)": ("IoU@0.5", "Dice@0.5", "Recall@0.5"),
    },
    "vps": {
        "SEPNet": (
            *("Smeasure", "adpEm", "meanEm", "meanFm", "wFmeasure"),
            *("meanSen", "meanSpe", "meanDice", "meanIoU", "MAE"),
        ),
        "SALI": ("maxDice",),
    },
    "endocv": {
        "PolypGen": ("IoU@0.5", "Dice@0.5", "F2@0.5", "Precision@0.5", "Recall@0.5", "Accuracy@0.5"),
        "EndoCV2021": ("EndoCVScore", "EndoCVDeviation"),
    },
}
"""Per protocol: the paper -> the columns its main table prints, in its order."""

OVERLAP_PAIRS: dict[str, tuple[str, str]] = {
    "soft, no threshold": ("Dice", "IoU"),
    "mean over 256 thresholds": ("meanDice", "meanIoU"),
    "best of 256 thresholds": ("maxDice", "maxIoU"),
    "at 0.5, mean over images": ("Dice@0.5", "IoU@0.5"),
    "at 0.5, pooled over pixels": ("pooledDice@0.5", "pooledIoU@0.5"),
}
"""The definitions of Dice and IoU in use, each as the pair of columns that belong together."""

_HEADLINE = {
    "image": (
        "Dice",
        "IoU",
        "meanDice",
        "meanIoU",
        "Dice@0.5",
        "Smeasure",
        "wFmeasure",
        "meanEm",
        "maxEm",
        "MAE",
    ),
    "vps": ("Smeasure", "meanEm", "wFmeasure", "meanFm", "meanSen", "meanDice", "maxDice", "meanIoU", "MAE"),
    "endocv": (*("IoU@0.5", "Dice@0.5", "F2@0.5", "Precision@0.5", "Recall@0.5"), "EndoCVScore", "EndoCVDeviation"),
    # images without a class weigh on every mean over images, but not on what is pooled
    "classes": ("pooledDice@0.5", "pooledIoU@0.5", "Dice@0.5", "IoU@0.5", "Dice", "IoU", "Smeasure", "MAE"),
}

_HEADLINE_ON_REQUEST = ("HD95", "NSD", "LesionSensitivity", "LesionPrecision", "FalseAlarmsPerImage", "ECE")
"""Columns that stand among the headline ones of every kind where they were asked for."""

_NO_SHARES = (
    *("HD", "ASSD", "MASD", "OneEmpty", "BothEmpty"),
    *("FalseAlarmsPerImage", "FirstDetection", "AlarmBursts", "LongestBurst", "Flicker"),
)
"""How the names begin of pixels, counts and times, which lie beyond 1."""

_BY_KEY = {known.key: known for family in FAMILIES.values() for known in family}


def column_of(key: str) -> Column:
    """The column of a `scores.json` key; a key unknown here is shown under its own name, higher being better."""
    return _BY_KEY.get(key) or Column(key, key, "No definition is recorded for this column.")


def is_share(key: str) -> bool:
    """Whether a score lies between 0 and 1, so that papers may print it in percent."""
    return not key.startswith(_NO_SHARES)


def families_of(keys: Iterable[str]) -> dict[str, list[Column]]:
    """Sort `keys` into families: the order of `FAMILIES`, then unknown keys under "Other"; empty ones left out."""
    present = dict.fromkeys(keys)
    found = {name: [known for known in members if known.key in present] for name, members in FAMILIES.items()}
    found[OTHER_FAMILY] = [column_of(key) for key in present if key not in _BY_KEY]
    return {name: members for name, members in found.items() if members}


def headline_keys(kind: str, keys: Iterable[str]) -> list[str]:
    """The few columns of `keys` that fit a line: those that papers of a protocol, or on "classes", print most."""
    present = set(keys)
    return [key for key in (*_HEADLINE.get(kind, _HEADLINE["image"]), *_HEADLINE_ON_REQUEST) if key in present]


def mean_metrics(kind: str, keys: Iterable[str]) -> dict[str, bool]:
    """The headline columns that are a mean over images, so that images can be compared: key -> higher is better."""
    usual = [key for key in headline_keys(kind, keys) if not key.startswith(("max", "pooled"))]
    return {key: bool(column_of(key).higher_is_better) for key in usual}


def papers_of(key: str, protocol: str) -> list[str]:
    """The papers whose table under this protocol prints the column `key`."""
    return [paper for paper, keys in PAPER_TABLES.get(protocol, {}).items() if key in keys]
