"""Lesions worked by hand, against a plain count of every pixel, and through the command line."""

from __future__ import annotations

import itertools
import json

import cv2
import numpy as np
import pytest
from scipy import ndimage

from measure import InputError, Options, ScoreSet, score_pair
from measure.commands.score import main
from measure.metrics.lesions import LesionSettings, lesion_counts, lesion_scores
from measure.metrics.temporal import case_detection, detection_over_cases
from tests.measure.metrics.test_fast_path import random_map, random_mask

NAMES = ("images", "without", "silent", "small", "medium", "large", "found_small", "found_medium", "found_large")
NAMES += ("alarms", "found@.25", "alarms@.25", "found@.5", "alarms@.5")


def frame(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Boxes of top, bottom, left, right on 40 x 50 pixels."""
    image = np.zeros((40, 50), np.uint8)
    for top, bottom, left, right in boxes:
        image[top:bottom, left:right] = 255
    return image


def counted(prediction: np.ndarray, mask: np.ndarray, *, rule: str = "overlap", smallest: int = 1) -> dict[str, int]:
    return dict(
        zip(
            NAMES, lesion_counts(prediction, mask, LesionSettings(128, smallest, rule))["lesions"].tolist(), strict=True
        )
    )


def test_two_lesions_one_found_twice_and_one_false_alarm() -> None:
    """Lesions of 100 (5 %, medium) and 36 pixels; two regions in the first, one elsewhere, none in the second."""
    mask = frame((0, 10, 0, 10), (30, 36, 40, 46))
    prediction = frame((0, 4, 0, 10), (6, 10, 0, 10), (20, 23, 20, 23))
    found = counted(prediction, mask)
    assert (found["small"], found["medium"], found["large"]) == (1, 1, 0)
    assert (found["found_small"], found["found_medium"], found["alarms"]) == (0, 1, 1)
    assert (found["found@.25"], found["alarms@.25"]) == (1, 2)  # IoU 40 / 100
    assert (found["found@.5"], found["alarms@.5"]) == (0, 3)
    scores = {k: float(v) for k, v in lesion_scores(*map(float, found.values())).items()}
    assert scores["LesionSensitivity"] == scores["LesionPrecision"] == scores["LesionF1"] == 0.5
    assert scores["LesionF2"] == 0.5 and scores["FalseAlarmsPerImage"] == 1
    assert (scores["LesionSensitivity_small"], scores["LesionSensitivity_medium"]) == (0, 1)
    assert np.isnan(scores["LesionSensitivity_large"]) and np.isnan(scores["ImageSpecificity"])


def test_the_center_of_mass_decides_under_the_giana_rule() -> None:
    """A region that reaches into the lesion with one column has its center outside: found by overlap, not by GIANA."""
    mask, prediction = frame((10, 20, 10, 20)), frame((10, 20, 19, 35))
    assert counted(prediction, mask)["found_medium"] == 1
    giana = counted(prediction, mask, rule="giana")
    assert (giana["found_medium"], giana["alarms"]) == (0, 1)
    inside = counted(frame((10, 20, 10, 24)), mask, rule="giana")
    assert (inside["found_medium"], inside["alarms"]) == (1, 0)


def test_diagonal_neighbors_are_one_region_and_small_ones_are_passed_over() -> None:
    mask = frame((0, 2, 0, 2), (2, 4, 2, 4), (20, 21, 20, 21))
    assert counted(mask, mask)["small"] == 2
    assert counted(mask, mask, smallest=2)["small"] == 1
    assert counted(frame(), mask, smallest=100)["without"] == 1


@pytest.mark.parametrize(("prediction", "silent", "alarms"), [(frame(), 1, 0), (frame((1, 3, 1, 3)), 0, 1)])
def test_images_without_polyp(prediction: np.ndarray, silent: int, alarms: int) -> None:
    found = counted(prediction, frame())
    assert (found["without"], found["silent"], found["alarms"]) == (1, silent, alarms)


def plain_counts(prediction: np.ndarray, mask: np.ndarray, rule: str, smallest: int) -> dict[str, int]:
    """The definition, region by region, with every one-to-one matching tried."""

    def regions(binary: np.ndarray) -> list[np.ndarray]:
        labels, count = ndimage.label(binary, np.ones((3, 3)))
        return [r for n in range(1, count + 1) if (r := labels == n).sum() >= smallest]

    lesions, marked = regions(mask > 0), regions(prediction >= 128)

    def met(lesion: np.ndarray, region: np.ndarray) -> bool:
        if rule == "overlap":
            return bool((lesion & region).any())
        return bool(lesion[tuple(np.rint(ndimage.center_of_mass(region)).astype(int))])

    hits = [any(met(lesion, region) for region in marked) for lesion in lesions]
    sizes = [("small", "medium", "large")[int(s >= 0.05) + int(s > 0.2)] for s in map(np.mean, lesions)]
    found = {"images": 1, "without": not lesions, "silent": not lesions and not marked}
    for size in ("small", "medium", "large"):
        found[size] = sizes.count(size)
        found[f"found_{size}"] = sum(hit for hit, its in zip(hits, sizes, strict=True) if its == size)
    found["alarms"] = sum(not any(met(lesion, region) for lesion in lesions) for region in marked)
    iou = np.array([[(a & b).sum() / (a | b).sum() for b in marked] for a in lesions]).reshape(
        len(lesions), len(marked)
    )
    short, long = (iou, len(marked)) if len(lesions) <= len(marked) else (iou.T, len(lesions))
    ways = itertools.permutations(range(long), len(short))
    best = max(([short[row, column] for row, column in enumerate(way)] for way in ways), key=sum, default=[])
    for bound in (0.25, 0.5):
        name = f"@{bound:g}".replace("0.", ".")
        found[f"found{name}"] = sum(value >= bound for value in best)
        found[f"alarms{name}"] = len(marked) - found[f"found{name}"]
    return found


def test_random_pairs_against_the_plain_count() -> None:
    tried = 0
    for seed in range(50_000, 50_600):
        random = np.random.default_rng(seed)
        mask = cv2.threshold(random_mask(random, tuple(random.integers(1, 20, 2))), 128, 255, cv2.THRESH_BINARY)[1]
        prediction = random_map(random, mask)
        if max(ndimage.label(image, np.ones((3, 3)))[1] for image in (mask, prediction >= 128)) > 6:
            continue  # too many matchings to try
        rule, smallest = str(random.choice(["overlap", "giana"])), int(random.integers(1, 4))
        expected = plain_counts(prediction, mask, rule, smallest)
        assert counted(prediction, mask, rule=rule, smallest=smallest) == expected, seed
        tried += 1
    assert tried > 300


def test_free_response_counts_at_every_level() -> None:
    """A lesion marked at level 100, a false region at 60: nothing above 100, the lesion above 60, then both."""
    mask, prediction = frame((0, 10, 0, 10)), np.zeros((40, 50), np.uint8)
    prediction[0:5, 0:5], prediction[30:33, 30:33] = 100, 60
    scores = ScoreSet(lesions=True)
    scores.add("a", prediction, mask)
    scores.add("b", prediction * 0, mask)
    curve = scores.compute()["free_response"]["set"]
    at = {level: place for place, level in enumerate(curve["levels"])}
    assert [curve["sensitivity"][at[level]] for level in (104, 91, 65, 52)] == [0, 0.5, 0.5, 0.5]
    assert [curve["alarms_per_image"][at[level]] for level in (104, 91, 65, 52)] == [0, 0, 0, 0.5]


def test_a_set_pools_its_lesions() -> None:
    """One image with three lesions, all found, and one with one, missed: 3 of 4, not the mean of 1 and 0."""
    three, one = frame((0, 4, 0, 4), (10, 14, 0, 4), (20, 24, 0, 4)), frame((0, 4, 0, 4))
    scores = ScoreSet(lesions=True)
    scores.add("three", three, three)
    scores.add("one", frame(), one)
    assert scores.compute()["datasets"]["set"]["LesionSensitivity"] == 0.75
    pair = score_pair(three, three, lesions=True)
    assert (pair["Lesions"], pair["LesionsFound"], pair["FalseAlarms"]) == (3, 3, 0)


def test_a_polyp_in_a_video() -> None:
    """Polyp from the third of eight frames on, found from the fifth on; false alarms in frames 0, 1 and 6."""
    frames = [
        {"Lesions": float(n >= 2), "LesionsFound": float(n >= 4), "FalseAlarms": float(n in (0, 1, 6))}
        for n in range(8)
    ]
    case = case_detection(frames, rate=25)
    assert case == pytest.approx(
        {
            "FramesDetected": 4 / 6,
            "FirstDetection": 2,
            "FirstDetection_seconds": 0.08,
            "AlarmBursts": 2,
            "LongestBurst": 2,
        }
    )
    gap = case_detection([*frames[:1], None, *frames[2:4], None, *frames[5:]], rate=25)
    assert (gap["FirstDetection"], gap["FramesDetected"]) == (3, 3 / 5), "frame 4 was not scored, but took its time"
    assert (gap["AlarmBursts"], gap["LongestBurst"]) == (2, 1)
    missed = case_detection([{"Lesions": 1.0, "LesionsFound": 0.0, "FalseAlarms": 0.0}] * 3, rate=25)
    assert np.isnan(missed["FirstDetection"]) and missed["FramesDetected"] == 0
    split = detection_over_cases([case, missed])
    assert (split["PolypSensitivity"], split["PolypSensitivity_half"], split["FirstDetection"]) == (0.5, 0.5, 2)


def test_the_command_line_with_videos(tmp_path, capsys) -> None:
    """One case of five frames, of which the protocol drops the first and the last; found in the last of the others."""
    for number in range(5):
        for place, image in {"gt/GT": frame((5, 15, 5, 15)), "pred": frame((5, 15, 5, 15)) * (number == 3)}.items():
            (tmp_path / place / "case1").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / place / "case1" / f"image{number}.png"), image)
    words = ["--protocol", "vps", "--GT_root", str(tmp_path / "gt"), "--pred_root", str(tmp_path / "pred")]
    words += ["--out", str(tmp_path / "out"), "--workers", "1", "--no-plots", "--lesions", "--fps", "10"]
    assert main(words) == 0
    assert "LesionSensitivity" in capsys.readouterr().out
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    (values,) = scores["datasets"].values()
    assert values["LesionSensitivity"] == pytest.approx(1 / 3)
    assert (values["PolypSensitivity"], values["PolypSensitivity_half"]) == (1, 0)
    assert (values["FirstDetection"], values["FirstDetection_seconds"]) == (2, 0.2)
    (cases,) = scores["per_case"].values()
    assert cases["case1"]["FramesDetected"] == pytest.approx(1 / 3)
    assert scores["options"]["fps"] == 10
    for flag, value in (("--lesion_min", "0"), ("--fps", "0"), ("--lesion_rule", "touch")):
        assert main([*words, flag, value]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_options_out_of_bounds() -> None:
    for wrong in ({"lesion_rule": "touch"}, {"lesion_min": 0}, {"fps": 0.0}):
        with pytest.raises(InputError):
            Options(**wrong)
