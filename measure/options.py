"""What a scoring run can be asked for, and the values the published tables were made with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .io import STILLS, Classes, InputError, Layout, parse_classes, parse_mask_values
from .metrics import LESION_RULES, DistanceSettings, LesionSettings

__all__ = ["PROTOCOLS", "Options"]

PROTOCOLS = ("image", "vps", "endocv")

_RECORDED_ON_REQUEST = {
    "distances": ("nsd_tolerance", "threshold"),
    "lesions": ("lesion_min", "lesion_rule", "fps", "threshold"),
    "calibration": (),
    "consistency": ("fps", "threshold"),
    "intervals": ("resamples", "seed", "groups", "group_pattern"),
}
"""Per switch the options that only such switches use: recorded, like the switch itself, only where it is on."""


@dataclass(frozen=True)
class Options:
    """Options of a run; the defaults give the published numbers.

    Attributes:
        protocol: "image" (still-image sets, mean over images) "vps" (SUN-SEG: mean over frames, then cases)
            or "endocv" (EndoCV2021, PolypGen: as "image", with the challenge's score).
        minmax: min-max normalize every map before scoring, as the released tools do; off, maps count as saved.
        border: also score the border region.
        br_rate: side of the square that widens the contour to the border region, pixels.
        distances: also score how far the outlines of map and mask are apart.
        nsd_tolerance: distance up to which `NSD` takes outlines for the same, pixels.
        lesions: also score lesion by lesion: which are found, and false alarms.
        lesion_min: pixels below which a region of map or mask is no lesion.
        lesion_rule: when a lesion is found, one of `metrics.LESION_RULES`.
        fps: frames per second of videos, for latencies in seconds.
        threshold: at which distances and lesions cut the map, of the saved levels / 255, in (0, 1].
        calibration: also score whether the maps' saved levels are probabilities.
        consistency: also score how steady the maps of videos are from frame to frame.
        intervals: also give 95 % bootstrap intervals and quartiles of every mean.
        resamples: of the bootstrap.
        seed: of the bootstrap's draw.
        groups: file that names the groups (patients, sequences) of images or cases, which are resampled as a whole.
        group_pattern: regular expression that finds the group in a name, instead of a file.
        partial: score the pairs that are there and readable; otherwise a missing map is an error.
        classes: of masks that tell several apart; every class is scored against its own plane, then all merged.
        layout: names of the folders and files of stills, and the values of the masks that mean polyp.
    """

    protocol: str = "image"
    minmax: bool = True
    border: bool = False
    br_rate: int = 15
    distances: bool = False
    nsd_tolerance: float = 2.0
    lesions: bool = False
    lesion_min: int = 1
    lesion_rule: str = "overlap"
    fps: float = 30.0
    threshold: float = 0.5
    calibration: bool = False
    consistency: bool = False
    intervals: bool = False
    resamples: int = 9999
    seed: int = 0
    groups: str | None = None
    group_pattern: str | None = None
    partial: bool = False
    classes: Classes | None = None
    layout: Layout = STILLS

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise InputError(f"unknown protocol {self.protocol!r}; known are {', '.join(PROTOCOLS)}")
        if self.br_rate < 1:
            raise InputError(f"br_rate is {self.br_rate}; at least 1 pixel was expected")
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold is {self.threshold}; more than 0 and at most 1 was expected")
        if not self.nsd_tolerance >= 0:
            raise InputError(f"nsd_tolerance is {self.nsd_tolerance}; at least 0 pixels was expected")
        if self.lesion_rule not in LESION_RULES:
            raise InputError(f"unknown lesion_rule {self.lesion_rule!r}; known are {', '.join(LESION_RULES)}")
        if self.lesion_min < 1 or not self.fps > 0:
            raise InputError(
                f"lesion_min is {self.lesion_min} and fps {self.fps}; at least 1 pixel and more than 0 were expected"
            )
        if self.groups and self.group_pattern:
            raise InputError("--groups and --group_pattern were given; both name the groups, keep one")
        self._refuse_what_nothing_uses()
        if self.consistency and self.protocol != "vps":
            raise InputError(
                f"--consistency was given with --protocol {self.protocol}; only the frames of vps follow one another"
            )
        if self.classes and self.protocol == "vps":
            raise InputError("--classes was given with --protocol vps; only still images are scored by class")
        if self.classes and self.layout.mask_values:
            raise InputError("--classes and --mask_values were given; both say what the masks' values mean, keep one")
        if self.protocol == "vps" and self.layout.names_files:
            raise InputError(
                "--images, --masks or --mask_suffix was given with --protocol vps; they name the files of stills, "
                "those of clips are <split>/Frame/<case>/ and <split>/GT/<case>/"
            )

    def _refuse_what_nothing_uses(self) -> None:
        """Refuse an option that is given where no switch that uses it is on."""
        users: dict[str, list[str]] = {}
        for switch, names in _RECORDED_ON_REQUEST.items():
            for name in set(names) - {"resamples", "seed"}:  # of intervals, which are on unless switched off
                users.setdefault(name, []).append(switch)
        for name, switches in users.items():
            if getattr(self, name) != getattr(type(self), name) and not any(getattr(self, each) for each in switches):
                wanted = " or ".join(f"--{switch}" for switch in switches)
                raise InputError(f"--{name} {getattr(self, name)} was given without {wanted}, which alone uses it")

    @property
    def ddof(self) -> int:
        """Of the S-measure's deviations: population in the image protocol's tool, sample in the VPS one's."""
        return 1 if self.protocol == "vps" else 0

    def of_pairs(self) -> dict[str, Any]:
        """What `metrics.pair_scores` is to do."""
        return {
            "minmax": self.minmax,
            "ddof": self.ddof,
            "br_rate": self.br_rate if self.border else None,
            "distances": DistanceSettings(self.cut, self.nsd_tolerance) if self.distances else None,
            "lesions": LesionSettings(self.cut, self.lesion_min, self.lesion_rule) if self.lesions else None,
            "calibration": self.calibration,
            "endocv": self.protocol == "endocv",
        }

    @property
    def cut(self) -> int:
        """The level that reaches `threshold`: the map counts as polyp from here on."""
        return math.ceil(255 * self.threshold)

    def record(self) -> dict[str, Any]:
        """The options as `scores.json` keeps them: none of a switch that is off, classes, layout only where given."""
        groups = {switch: {switch, *names} for switch, names in _RECORDED_ON_REQUEST.items()}
        wished = set().union(*(names for switch, names in groups.items() if getattr(self, switch)))
        left_out = {"classes", "layout"}.union(*groups.values()) - wished
        record = {name: value for name, value in vars(self).items() if name not in left_out}
        classes = {"classes": str(self.classes)} if self.classes else {}
        return record | classes | self.layout.record()

    @classmethod
    def from_record(cls, record: Mapping[str, Any], **changes: Any) -> Options:
        """The options that `record` came from; `changes` replace some of them."""
        names = {name for name in vars(cls()) if name not in ("classes", "layout")}
        classes, values = record.get("classes"), record.get("mask_values")
        layout = {name: record[name] for name in ("images", "masks", "mask_suffix") if name in record}
        return cls(
            **{name: record[name] for name in names if name in record}
            | {"classes": parse_classes(classes.split()) if classes else None}
            | {"layout": Layout(**layout, mask_values=parse_mask_values(values.split()) if values else None)}
            | changes
        )
