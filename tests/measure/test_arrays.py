"""`score_pair` and `ScoreSet` against the numbers of the command line on the same files, bit for bit."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure import InputError, Options, ScoreSet, score_folder, score_pair
from measure.io import read_grey

METRICS = Path(__file__).parents[1] / "data" / "metrics"
MASK = np.zeros((20, 30), np.uint8)
MASK[5:15, 8:20] = 255


def read(mask: Path, prediction: Path) -> tuple[np.ndarray, np.ndarray]:
    mask, prediction = read_grey(mask), read_grey(prediction)
    same = prediction.shape == mask.shape
    return prediction if same else cv2.resize(prediction, mask.shape[::-1]), mask


@pytest.mark.parametrize("minmax", [True, False])
def test_pairs_and_a_set_equal_the_command_line(minmax: bool) -> None:
    root = METRICS / "image_protocol"
    expected = score_folder(root / "gt", root / "pred", options=Options(minmax=minmax, border=True))
    scores = ScoreSet("SetA", minmax=minmax, border=True)
    for stem, image in expected["per_image"]["SetA"].items():
        files = (root / "gt/SetA/masks" / f"{stem}.png", root / "pred/SetA" / f"{stem}.png")
        prediction, mask = read(*files)
        one = score_pair(prediction, mask, minmax=minmax, border=True)
        assert list(one) == list(image)
        np.testing.assert_equal(one, image)
        scores.add(stem, prediction, mask)
    assert len(scores) == 20
    for part, value in scores.compute().items():
        np.testing.assert_equal(value, expected[part], err_msg=part)


def test_a_split_of_clips_equals_the_command_line() -> None:
    """All frames are added, in any order; those that the protocol drops are dropped."""
    root, split = METRICS / "vps_protocol", "TestEasyDataset/Seen"
    expected = score_folder(root / "gt", root / "pred", options=Options("vps"))
    scores = ScoreSet(split, protocol="vps")
    for path in sorted((root / "gt" / split / "GT").rglob("*.png"), reverse=True):
        map_path = root / "pred" / split / path.parent.name / path.name
        prediction, mask = read(path, map_path if map_path.is_file() else path)
        scores.add(f"{path.parent.name}/{path.stem}", prediction, mask)
    for part, value in scores.compute().items():
        np.testing.assert_equal(value, {split: expected[part][split]}, err_msg=part)


def test_worked_numbers() -> None:
    other = np.zeros_like(MASK)
    other[5:15, 14:26] = 255  # half of it on the mask
    scores = score_pair(other, MASK)
    assert scores["Dice@0.5"] == pytest.approx(0.5) and scores["IoU@0.5"] == pytest.approx(1 / 3)
    assert scores["MAE"] == pytest.approx(120 / 600) and scores["size"] == 0.2
    assert all(isinstance(value, float) for value in scores.values())


def test_views_are_scored_like_their_copies() -> None:
    wide = np.repeat(MASK, 2, axis=1)
    assert score_pair(wide[:, ::2], MASK[::-1][::-1]) == score_pair(MASK, MASK)


@pytest.mark.parametrize(
    ("prediction", "mask", "sentence"),
    [
        (MASK / 255, MASK, "the prediction is (20, 30) float64; an array (H, W) of uint8"),
        (MASK, MASK > 0, "the mask is (20, 30) bool"),
        (MASK[..., None], MASK, "the prediction is (20, 30, 1) uint8"),
        (MASK[:0], MASK, "the prediction is (0, 30) uint8"),
        ("map.png", MASK, "the prediction is a str"),
        (MASK[1:], MASK, "the prediction is (19, 30) and the mask (20, 30)"),
    ],
)
def test_other_arrays_are_refused(prediction, mask, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        score_pair(prediction, mask)


def test_masks_of_zero_and_one_are_read_as_such_and_darker_ones_refused() -> None:
    with pytest.warns(UserWarning, match="holds 0 and 1, read as background and polyp"):
        scores = score_pair(MASK, MASK // 255)
    assert scores == score_pair(MASK, MASK)
    with pytest.raises(InputError, match=r"the mask is 127 at its brightest, .* pass 255 \* \(mask == 127\)"):
        score_pair(MASK, MASK // 2)


def test_mistakes_with_a_set() -> None:
    scores = ScoreSet()
    with pytest.raises(InputError, match="no pair was added"):
        scores.compute()
    scores.add("1", MASK, MASK)
    with pytest.raises(InputError, match="1 was added twice"):
        scores.add("1", MASK, MASK)
    assert scores.compute()["datasets"]["set"]["Dice"] == 1.0
    clips = ScoreSet(protocol="vps")
    with pytest.raises(InputError, match="names of the form <case>/<frame>"):
        clips.add("1", MASK, MASK)
    clips.add("case1/1", MASK, MASK)
    with pytest.raises(InputError, match="case1 has 1 frame, at least 3"):
        clips.compute()
    with pytest.raises(InputError, match="unknown protocol"):
        ScoreSet(protocol="video")
