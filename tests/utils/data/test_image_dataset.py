"""Pairs and samples; every bad folder is refused in one sentence."""

import pytest
import torch

from measure.io.errors import InputError
from utils.data.augmentation.pipeline import parse_augmentation
from utils.data.image_dataset import TrainingData
from utils.data.pairs import find_pairs
from utils.training.recipes import RECIPES

AUGMENTATION = [parse_augmentation(text) for text in RECIPES["sepnet"].config.augment]


def test_pairs_are_made_by_stem_in_natural_order(folder):
    pairs = find_pairs(folder)
    assert [pair.stem for pair in pairs] == [str(k) for k in range(1, 13)]
    assert all(pair.image.stem == pair.mask.stem for pair in pairs)


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


def test_a_sample_depends_on_seed_epoch_and_index_alone(folder):
    pairs = find_pairs(folder)
    data = TrainingData(pairs, size=32, seed=3, augmentation=AUGMENTATION)
    first = data[(1, 4)]
    with pytest.raises(TypeError, match=r"sample 4 was asked for; samples are addressed by \(epoch, index\)"):
        data[4]
    for draw in ((2, 4), (1, 5), (7, 0)):
        data[draw]
    assert torch.equal(first["image"], data[(1, 4)]["image"])
    assert not torch.equal(first["image"], data[(2, 4)]["image"])
    other = TrainingData(pairs, size=32, seed=4, augmentation=AUGMENTATION)
    assert not torch.equal(first["image"], other[(1, 4)]["image"])
    assert first["image"].shape == (3, 32, 32) and first["mask"].shape == (1, 32, 32)
    assert first["image"].dtype == first["mask"].dtype == torch.uint8
