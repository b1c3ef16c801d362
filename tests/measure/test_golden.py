"""Both protocols against the values of the released tools, per image, per curve point and per data set, to 1e-9."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from measure import Options, score_folder
from measure.commands.score import main

METRICS = Path(__file__).parents[1] / "data" / "metrics"
IMAGE, VPS = METRICS / "image_protocol", METRICS / "vps_protocol"


def load(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def image_result(request: pytest.FixtureRequest) -> dict:
    return score_folder(IMAGE / "gt", IMAGE / "pred", options=Options(border=True), workers=request.param)


def test_every_image_of_the_image_protocol(image_result: dict) -> None:
    for name, expected in load(IMAGE / "expected.json")["per_image"].items():
        scores = image_result["per_image"]["SetA"][Path(name).stem]
        assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-9), name


def test_every_image_of_the_thresholded_family(image_result: dict) -> None:
    for name, expected in load(IMAGE / "expected_thresholded.json").items():
        scores = image_result["per_image"]["SetA"][Path(name).stem]
        for key, value in expected.items():
            ours = scores[key if key.startswith("max") else f"mean{key}"]
            assert ours == pytest.approx(value, abs=1e-12, nan_ok=True), (name, key)


def test_curves_and_means_of_the_image_protocol(image_result: dict) -> None:
    expected = load(IMAGE / "expected.json")
    for name, curve in expected["curves"].items():
        np.testing.assert_allclose(image_result["curves"]["SetA"][name], curve, rtol=0, atol=1e-9)
    scores = image_result["datasets"]["SetA"]
    assert {key: scores[key] for key in expected["dataset"]} == pytest.approx(expected["dataset"], abs=1e-9)


def test_border_region(image_result: dict) -> None:
    expected = load(IMAGE / "expected.json")["border_region"]
    images = [image_result["per_image"]["SetA"][Path(name).stem] for name in expected["images"]]
    for key in ("BR_mae", "BR_wF"):
        assert np.mean([image[key] for image in images]) == pytest.approx(expected[key], abs=1e-9)
    with_contour = [s["BR_wF"] for s in image_result["per_image"]["SetA"].values() if not math.isnan(s["BR_wF"])]
    assert len(with_contour) == 18
    assert image_result["counts"]["SetA"]["no_contour"] == ["empty_gt", "empty_gt_empty_pred"]
    assert image_result["datasets"]["SetA"]["BR_wF"] == pytest.approx(np.mean(with_contour), abs=1e-12)


def test_what_was_odd_is_counted(image_result: dict) -> None:
    counts = image_result["counts"]["SetA"]
    assert counts["images"] == 20
    assert counts["resized_maps"] == ["other_size"]
    assert counts["one_level_masks"] == ["empty_gt", "empty_gt_empty_pred", "full_gt"]
    assert counts["grey_masks"] == [str(number) for number in range(1, 11)]
    assert counts["missing_maps"] == counts["extra_maps"] == counts["unreadable"] == []


@pytest.mark.parametrize("workers", [1, 2])
def test_vps_protocol(workers: int) -> None:
    result = score_folder(VPS / "gt", VPS / "pred", options=Options("vps"), workers=workers)
    for split, expected in load(VPS / "expected.json").items():
        scores = result["datasets"][split]
        assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-9), split
        assert len(expected) == 17
        frames = sum(case["images"] for case in result["per_case"][split].values())
        assert frames == result["counts"][split]["images"] == len(result["per_image"][split])


def test_vps_drops_first_and_last_frame_in_natural_order() -> None:
    dropped = score_folder(VPS / "gt", VPS / "pred", options=Options("vps"))["counts"]["TestEasyDataset/Seen"]
    names = [name.rpartition("_1_001_002-1_")[2] for name in dropped["dropped_frames"] if "case25_2/" in name]
    assert names == ["a9_ayy_image0095", "a10_ayy_image0101"]


@pytest.mark.parametrize("protocol", ["image", "vps"])
def test_from_the_command_line(protocol: str, tmp_path: Path) -> None:
    root = METRICS / f"{protocol}_protocol"
    before = sorted(path.stat().st_mtime_ns for path in root.rglob("*"))
    folders = ["--GT_root", str(root / "gt"), "--pred_root", str(root / "pred")]
    assert main([*folders, "--protocol", protocol, "--out", str(tmp_path), "--no-plots", "--workers", "1"]) == 0
    written = load(tmp_path / "scores.json")["datasets"]
    expected = load(root / "expected.json")
    expected = {"SetA": expected["dataset"]} if protocol == "image" else expected
    for name, scores in expected.items():
        assert {key: written[name][key] for key in scores} == pytest.approx(scores, abs=1e-9)
    assert sorted(path.stat().st_mtime_ns for path in root.rglob("*")) == before
