"""Boundary distances: worked by hand, against brute force on awkward pairs, against other tools where installed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure import InputError, Options, ScoreSet, score_pair
from measure.commands.score import main
from measure.metrics import DISTANCES
from measure.metrics.reference import boundary, naive_boundary_distances
from measure.metrics.scores import pair_scores
from tests.measure.metrics.test_fast_path import random_map, random_mask

DISTANCES_ALONE = ("HD", "HD95", "HD95_pooled", "ASSD", "MASD")


def rectangle(top: int, bottom: int, left: int, right: int, shape: tuple[int, int] = (30, 40)) -> np.ndarray:
    image = np.zeros(shape, np.uint8)
    image[top:bottom, left:right] = 255
    return image


def distances(prediction: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    scores = score_pair(prediction, mask, distances=True)
    return {name: scores[name] for name in DISTANCES}


def test_a_row_and_the_row_three_below() -> None:
    """Two lines of ten pixels: every pixel is boundary and lies 3 pixels from the other line."""
    scores = distances(rectangle(5, 6, 10, 20), rectangle(8, 9, 10, 20))
    assert {scores[name] for name in DISTANCES_ALONE} == {3.0}
    assert (scores["NSD"], scores["BoundaryIoU"]) == (0.0, 0.0)


def test_a_line_and_its_half() -> None:
    """Of a line of 20 pixels, the 10 that are not marked lie 1, 2, ..., 10 pixels away; the marked ones at 0."""
    scores = distances(rectangle(5, 6, 10, 20), rectangle(5, 6, 10, 30))
    back = [0] * 10 + list(range(1, 11))
    assert scores["HD"] == 10
    assert scores["HD95"] == pytest.approx(9.05)  # of the longer direction: at place 0.95 * 19 of 0, 0, ..., 9, 10
    assert scores["HD95_pooled"] == pytest.approx(np.percentile([0] * 10 + back, 95))
    assert scores["ASSD"] == pytest.approx(55 / 30)
    assert scores["MASD"] == pytest.approx((0 + 55 / 20) / 2)
    assert scores["NSD"] == pytest.approx(22 / 30)
    assert scores["BoundaryIoU"] == 0.5


def test_the_edge_of_the_image_is_outside() -> None:
    full = np.full((4, 5), 255, np.uint8)
    assert len(boundary(full > 0)) == 14
    assert distances(full, full) == dict.fromkeys(DISTANCES_ALONE, 0.0) | dict.fromkeys(DISTANCES[5:], 1.0)


@pytest.mark.parametrize(
    ("marked", "polyp", "distance", "share"), [(0, 0, 0.0, 1.0), (1, 0, 50.0, 0.0), (0, 1, 50.0, 0.0)]
)
def test_where_map_or_mask_is_empty(marked: int, polyp: int, distance: float, share: float) -> None:
    """The diagonal of 30 x 40 pixels is 50."""
    prediction, mask = marked * rectangle(3, 9, 4, 11), polyp * rectangle(3, 9, 4, 11)
    assert distances(prediction, mask) == dict.fromkeys(DISTANCES_ALONE, distance) | dict.fromkeys(DISTANCES[5:], share)


def test_means_with_and_without_the_images_that_are_empty() -> None:
    scores = ScoreSet(distances=True)
    mask, empty = rectangle(8, 9, 10, 20), rectangle(0, 0, 0, 0)
    scores.add("hit", rectangle(5, 6, 10, 20), mask)
    scores.add("missed", empty, mask)
    scores.add("nothing there", empty, empty)
    found = scores.compute()
    assert found["datasets"]["set"]["HD95"] == pytest.approx((3 + 50 + 0) / 3)
    assert found["datasets"]["set"]["HD95_both"] == 3
    assert (found["datasets"]["set"]["OneEmpty"], found["datasets"]["set"]["BothEmpty"]) == (1, 1)
    assert "HD95_both" not in found["per_image"]["set"]["missed"]


def test_threshold_and_tolerance() -> None:
    """At 0.25 (from level 64 on) the map is three pixels from the mask's line, right at a tolerance of 3."""
    prediction, mask = np.minimum(rectangle(5, 6, 10, 20), 64), rectangle(8, 9, 10, 20)
    options = {"distances": True, "nsd_tolerance": 3.0}
    at_half = pair_scores(prediction, mask, **Options(**options).of_pairs()).numbers
    lower = pair_scores(prediction, mask, **Options(**options, threshold=0.25).of_pairs()).numbers
    assert (at_half["HD"], at_half["NSD"]) == (50.0, 0.0)
    assert (lower["HD"], lower["NSD"]) == (3.0, 1.0)
    assert lower["NSD_scaled"] == 0.0  # 3 pixels on 352 x 352 are 0.3 on 30 x 40
    for wrong in ({"threshold": 0.0}, {"threshold": math.nan}, {"nsd_tolerance": -1.0}):
        with pytest.raises(InputError, match="was expected"):
            Options(**wrong)


def test_random_pairs_against_brute_force() -> None:
    for seed in range(30_000, 30_400):
        random = np.random.default_rng(seed)
        mask = random_mask(random, tuple(random.integers(1, 60, 2)))
        prediction = random_map(random, mask)
        cut, tolerance = int(random.integers(1, 256)), float(random.integers(0, 5))
        options = Options(distances=True, threshold=cut / 255, nsd_tolerance=tolerance)
        assert options.cut == cut
        ours = pair_scores(prediction, mask, **options.of_pairs()).numbers
        expected = naive_boundary_distances(prediction, mask, cut=cut, tolerance=tolerance)
        assert {name: ours[name] for name in expected} == pytest.approx(expected, abs=1e-9), seed


GOLDEN = Path(__file__).parents[2] / "data" / "metrics" / "image_protocol"


@pytest.mark.parametrize("file", sorted((GOLDEN / "gt" / "SetA" / "masks").iterdir()), ids=lambda file: file.stem)
def test_golden_pairs_against_brute_force_and_medpy(file: Path) -> None:
    """The pairs whose overlap scores the released tools have given."""
    mask, prediction = (
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in (file, GOLDEN / "pred/SetA" / file.name)
    )
    if prediction.shape != mask.shape:
        prediction = cv2.resize(prediction, mask.shape[::-1])
    ours = distances(prediction, mask)
    assert ours == pytest.approx(naive_boundary_distances(prediction, mask), abs=1e-9)
    if (prediction >= 128).any() and (mask > 128).any():
        medpy = pytest.importorskip("medpy.metric.binary")
        assert ours["HD95_pooled"] == pytest.approx(medpy.hd95(prediction >= 128, mask > 128), abs=1e-9)


def outlines(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A mask and a map that both hold polyp, smooth or ragged."""
    random = np.random.default_rng(seed)
    pair = []
    for _ in range(2):
        smooth = cv2.GaussianBlur(random.normal(size=(50, 60)), (0, 0), random.uniform(1, 4))
        pair.append(np.where(smooth > np.quantile(smooth, random.uniform(0.5, 0.95)), 255, 0).astype(np.uint8))
    return pair[0], pair[1]


def test_against_medpy() -> None:
    """Its hd and assd are ours, its hd95 our HD95_pooled (it takes the percentile of both directions together)."""
    metric = pytest.importorskip("medpy.metric.binary")
    for seed in range(40):
        prediction, mask = outlines(seed)
        ours = distances(prediction, mask)
        theirs = metric.hd(prediction, mask), metric.hd95(prediction, mask), metric.assd(prediction, mask)
        assert (ours["HD"], ours["HD95_pooled"], ours["ASSD"]) == pytest.approx(theirs, abs=1e-9), seed


def test_against_monai() -> None:
    """Its HD and HD95 are ours; its boundary is eroded by the same cross, and it takes the larger direction."""
    torch, monai = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    for seed in range(20):
        prediction, mask = outlines(seed)
        ours = distances(prediction, mask)
        tensors = [torch.from_numpy(image > 0)[None, None].float() for image in (prediction, mask)]
        for name, percentile in (("HD", None), ("HD95", 95)):
            theirs = monai.compute_hausdorff_distance(*tensors, include_background=True, percentile=percentile)
            assert ours[name] == pytest.approx(theirs.item(), abs=1e-5), (seed, name)


def test_against_surface_distance() -> None:
    """DeepMind's outline runs between the pixels and weighs them by its length: close to ours, not equal."""
    surface = pytest.importorskip("surface_distance")
    for seed in range(20):
        prediction, mask = outlines(seed)
        ours = distances(prediction, mask)
        theirs = surface.compute_surface_distances(mask > 0, prediction > 0, (1, 1))
        assert ours["HD"] == pytest.approx(surface.compute_robust_hausdorff(theirs, 100), abs=2), seed
        assert ours["HD95"] == pytest.approx(surface.compute_robust_hausdorff(theirs, 95), abs=2), seed


def test_the_command_line_writes_and_prints_them(tmp_path, capsys) -> None:
    mask, empty = rectangle(8, 9, 10, 20), rectangle(0, 0, 0, 0)
    for name, image in (
        ("gt/Set/masks/a", mask),
        ("gt/Set/masks/b", mask),
        ("pred/Set/a", mask),
        ("pred/Set/b", empty),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(f"{tmp_path / name}.png", image)
    roots = ["--GT_root", str(tmp_path / "gt"), "--pred_root", str(tmp_path / "pred"), "--out", str(tmp_path / "out")]
    flags = ["--distances", "--nsd_tolerance", "1", "--threshold", "0.4", "--no-plots", "--workers", "1"]
    assert main([*roots, *flags]) == 0
    assert "HD95 ↓" in capsys.readouterr().out
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["datasets"]["Set"]["HD95"] == 25.0
    assert scores["datasets"]["Set"]["HD95_both"] == 0.0
    assert scores["options"]["nsd_tolerance"] == 1.0
    text = (tmp_path / "out" / "scores.md").read_text()
    assert "| OneEmpty | BothEmpty |" in text and "|        1 |         0 |" in text
    for flag, value in (
        ("--threshold", "0"),
        ("--threshold", "1.5"),
        ("--nsd_tolerance", "-1"),
        ("--nsd_tolerance", "x"),
    ):
        assert main([*roots, flag, value]) == 2
        assert f"{flag} {value} was given; it must be" in capsys.readouterr().err
