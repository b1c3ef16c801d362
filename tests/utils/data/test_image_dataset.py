"""Pairs, the held-out part and samples; every bad folder is refused in one sentence."""

import cv2
import numpy as np
import pytest
import torch

from measure.io.errors import InputError
from utils.data.augmentation.transforms import parse_part
from utils.data.image_dataset import TrainingData
from utils.data.inspection import check_pairs
from utils.data.pairs import find_pairs
from utils.training.recipes import RECIPES

AUGMENTATION = [parse_part(text) for text in RECIPES["sepnet"].augment]


@pytest.fixture
def folder(tmp_path):
    """Twelve pairs named 1 ... 12 with mixed suffixes; the mask of image k holds a k-pixel-wide square."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    rng = np.random.default_rng(0)
    for k in range(1, 13):
        image = rng.integers(256, size=(40, 50, 3), dtype=np.uint8)
        mask = np.zeros((40, 50), np.uint8)
        mask[5 : 5 + k, 5 : 5 + k] = 255
        cv2.imwrite(str(tmp_path / "images" / f"{k}.{'jpg' if k % 2 else 'png'}"), image)
        cv2.imwrite(str(tmp_path / "masks" / f"{k}.png"), mask)
    return tmp_path


def test_pairs_are_made_by_stem_in_natural_order(folder):
    pairs = find_pairs(folder)
    assert [pair.stem for pair in pairs] == [str(k) for k in range(1, 13)]
    assert all(pair.image.stem == pair.mask.stem for pair in pairs)
    check_pairs(pairs)


def test_images_without_masks_are_counted_and_the_first_five_named(folder):
    for k in range(1, 8):
        (folder / "masks" / f"{k}.png").unlink()
    with pytest.raises(InputError, match="5 of 12 masks found; 7 missing, first missing: 1, 2, 3, 4, 5 and 2 more"):
        find_pairs(folder)


def test_missing_and_empty_folders_are_named(folder, tmp_path):
    with pytest.raises(InputError, match="no folder .*elsewhere"):
        find_pairs(tmp_path / "elsewhere")
    for path in (folder / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no image in .*images"):
        find_pairs(folder)


def test_sizes_that_differ_within_a_pair_are_told(folder):
    cv2.imwrite(str(folder / "masks" / "3.png"), np.zeros((40, 49), np.uint8))
    with pytest.raises(InputError, match=r"3.png is 49 x 40 but its image 3.jpg is 50 x 40"):
        check_pairs(find_pairs(folder))


@pytest.mark.parametrize("name", ["images/2.png", "images/3.jpg", "masks/4.png"])
def test_a_truncated_file_is_named(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=f"cannot read .*{name}"):
        check_pairs(find_pairs(folder))


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "images" / "2.png").write_text("hello")
    with pytest.raises(InputError, match="cannot read .*2.png"):
        check_pairs(find_pairs(folder))


def test_a_sample_depends_on_seed_epoch_and_index_alone(folder):
    pairs = find_pairs(folder)
    data = TrainingData(pairs, size=32, seed=3, augmentation=AUGMENTATION)
    first = data[(1, 4)]
    for draw in ((2, 4), (1, 5), (7, 0)):
        data[draw]
    assert torch.equal(first["image"], data[(1, 4)]["image"])
    assert not torch.equal(first["image"], data[(2, 4)]["image"])
    other = TrainingData(pairs, size=32, seed=4, augmentation=AUGMENTATION)
    assert not torch.equal(first["image"], other[(1, 4)]["image"])
    assert first["image"].shape == (3, 32, 32) and first["mask"].shape == (1, 32, 32)
    assert first["image"].dtype == first["mask"].dtype == torch.uint8
