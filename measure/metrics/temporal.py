"""How a polyp is followed through the frames of a case: found when, for how long, and with how many false alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

__all__ = ["case_detection", "detection_over_cases"]


def case_detection(frames: Sequence[Mapping[str, float] | None], *, rate: float) -> dict[str, float]:
    """Detection in one case, whose frames all show the same polyp or none.

    Args:
        frames: in order, each with `Lesions`, `LesionsFound` and `FalseAlarms`; None where one was not scored, which
            takes its time and ends a run of false alarms.
        rate: frames per second.

    Returns:
        `FramesDetected`: share of the frames with polyp in which it is found. `FirstDetection`: frames from its first
        one to the first in which it is found, `FirstDetection_seconds` the same in seconds. `AlarmBursts`: runs of
        consecutive frames with a false alarm; `LongestBurst`: frames of the longest. NaN where there is no such thing.
    """
    with_polyp = [place for place, frame in enumerate(frames) if frame and frame["Lesions"]]
    detected = [place for place in with_polyp if frames[place]["LesionsFound"]]
    latency = detected[0] - with_polyp[0] if detected else np.nan
    bursts = [len(list(run)) for alarmed, run in groupby(frames, key=lambda f: bool(f and f["FalseAlarms"])) if alarmed]
    return {
        "FramesDetected": len(detected) / len(with_polyp) if with_polyp else np.nan,
        "FirstDetection": float(latency),
        "FirstDetection_seconds": latency / rate,
        "AlarmBursts": float(len(bursts)),
        "LongestBurst": float(max(bursts, default=0)),
    }


def detection_over_cases(cases: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Detection over the cases of a split: the shares of polyps found at all and in half of their frames, and means.

    Args:
        cases: what `case_detection` says of each; means pass over those that have no such number.
    """
    shares = np.array([case["FramesDetected"] for case in cases if np.isfinite(case["FramesDetected"])])
    means = {}
    for name in ("FirstDetection", "FirstDetection_seconds", "AlarmBursts", "LongestBurst"):
        values = [case[name] for case in cases if np.isfinite(case[name])]
        means[name] = float(np.mean(values)) if values else np.nan
    return {
        "PolypSensitivity": float(np.mean(shares > 0)) if shares.size else np.nan,
        "PolypSensitivity_half": float(np.mean(shares >= 0.5)) if shares.size else np.nan,
        **means,
    }
