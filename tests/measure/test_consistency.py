"""How steady maps are over time, worked by hand, and through the command line."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest

from measure.commands.score import main
from measure.consistency import Frame, steadiness


def region(left: int, width: int = 10) -> np.ndarray:
    image = np.zeros((40, 60), bool)
    image[10:30, left : left + width] = True
    return image


NOTHING = np.zeros((40, 60), bool)


def test_maps_over_a_still_mask() -> None:
    """Of three pairs the maps have an IoU of 1, of 5 / 15 (moved by half their width) and, gone, of 0."""
    maps = [region(10), region(10), region(15), NOTHING]
    found = steadiness([Frame(map_, region(10), None) for map_ in maps], rate=30)
    assert found["FrameAgreement"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found["Flicker"] == pytest.approx(1 / (3 / 30))  # gone once in three thirtieths of a second
    assert math.isnan(found["WarpedAgreement"])


def test_where_the_mask_moves_or_ends_the_map_may_too() -> None:
    frames = [Frame(region(10), region(10), None), Frame(region(20), region(20), None), Frame(NOTHING, NOTHING, None)]
    found = steadiness(frames, rate=30)
    assert math.isnan(found["FrameAgreement"]) and found["Flicker"] == 0


def test_missing_frames_and_other_sizes_are_passed_over() -> None:
    small = np.zeros((4, 4), bool)
    found = steadiness([Frame(region(10), region(10), None), None, Frame(small, small, None)], rate=30)
    assert all(math.isnan(value) for value in found.values())
    assert all(math.isnan(value) for value in steadiness([], rate=30).values())


def test_a_map_that_moves_with_the_image_agrees_after_the_flow() -> None:
    """A textured image shifted by 4 pixels, and maps shifted with it or left behind."""
    random = np.random.default_rng(0)
    texture = cv2.GaussianBlur(random.integers(0, 256, (160, 200)).astype(np.uint8), (0, 0), 3)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    mask = np.zeros((160, 200), bool)
    mask[50:110, 60:130] = True

    def warped(shift: int) -> float:
        second = Frame(np.roll(mask, shift, 1), np.roll(mask, 4, 1), np.roll(texture, 4, 1))
        return steadiness([Frame(mask, mask, texture), second], rate=30)["WarpedAgreement"]

    assert warped(4) > 0.97
    assert warped(4) > warped(0) + 0.05


def test_the_command_line(tmp_path, capsys) -> None:
    """A still polyp whose map is missing in one of three scored frames: agreement 0, two changes in two steps."""
    for number in range(5):
        mask = 255 * region(10).astype(np.uint8)
        for place, image in {"gt/GT": mask, "gt/Frame": mask // 2, "pred": mask * (number != 2)}.items():
            (tmp_path / place / "case1").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / place / "case1" / f"image{number}.png"), image)
    words = ["--GT_root", str(tmp_path / "gt"), "--pred_root", str(tmp_path / "pred"), "--out", str(tmp_path / "out")]
    words += ["--workers", "1", "--no-plots", "--consistency"]
    assert main(["--protocol", "vps", *words, "--fps", "10"]) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    (values,), (cases,) = scores["datasets"].values(), scores["per_case"].values()
    assert (values["FrameAgreement"], values["Flicker"]) == (0, pytest.approx(10))
    assert cases["case1"]["WarpedAgreement"] == values["WarpedAgreement"] == 0
    capsys.readouterr()
    (tmp_path / "pred/case1/image2.png").unlink()
    assert main(["--protocol", "vps", *words, "--partial", "--lesions"]) == 0
    (values,) = json.loads((tmp_path / "out" / "scores.json").read_text())["datasets"].values()
    assert values["FrameAgreement"] is values["Flicker"] is None, "frames 1 and 3 do not follow one another"
    assert values["FirstDetection"] == 0
    capsys.readouterr()
    assert main(words) == 2
    assert "only the frames of vps follow one another" in capsys.readouterr().err
