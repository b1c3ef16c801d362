"""Where sets and splits are found, and that prediction and scoring agree on their names."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure import InputError, score_folder
from measure.io import FRAME_MASKS, FRAMES, STILLS, available_cores, set_folders, split_folders

MASK = np.zeros((20, 30), np.uint8)
MASK[5:15, 8:20] = 255


def save(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), MASK)


def test_sets_of_every_form(tmp_path: Path) -> None:
    save(tmp_path / "b" / "images" / "1.png", tmp_path / "a" / "images" / "1.png", tmp_path / "a10" / "x" / "1.png")
    assert list(set_folders(tmp_path, "images").items()) == [(n, tmp_path / n / "images") for n in "ab"]
    assert set_folders(tmp_path / "a", "images") == {"a": tmp_path / "a" / "images"}
    assert set_folders(tmp_path / "a" / "images", "images") == {"a": tmp_path / "a" / "images"}
    assert set_folders(tmp_path / "a10", "images") == {}
    assert set_folders(tmp_path / "a10", "images", bare=True) == {"x": tmp_path / "a10" / "x"}
    with pytest.raises(InputError, match="no folder"):
        set_folders(tmp_path / "c", "images")


def test_splits_of_both_depths_without_the_one_to_train_on(tmp_path: Path) -> None:
    for split in ("TrainDataset", "TestEasyDataset/Seen", "Other"):
        save(tmp_path / split / "Frame" / "case1" / "1.jpg")
    assert list(split_folders(tmp_path, FRAMES)) == ["Other", "TestEasyDataset/Seen"]
    assert split_folders(tmp_path, FRAME_MASKS) == {}
    training = tmp_path / "TrainDataset"
    assert split_folders(training, FRAMES) == {"TrainDataset": training / "Frame"}, "asked for by name"


def test_images_and_masks_of_one_set_fit_together(tmp_path: Path) -> None:
    """Maps of `good/images` lie in `<out>/good`; scoring `good/masks` finds them there, or given that folder itself."""
    save(tmp_path / "good" / "masks" / "1.png", tmp_path / "good" / "images" / "1.png")
    (name,) = set_folders(tmp_path / "good" / "images", STILLS.images)
    save(tmp_path / "out" / name / "1.png", tmp_path / "out" / "another" / "7.png")
    for maps in (tmp_path / "out", tmp_path / "out" / "good"):
        for truth in (tmp_path / "good", tmp_path / "good" / "masks"):
            assert score_folder(truth, maps)["datasets"]["good"]["Dice"] == 1.0


def test_cores_are_those_this_process_may_use() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity masks")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert available_cores() == len(before)
