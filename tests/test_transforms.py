"""The augmentations: PIL's arithmetic, joint geometry, released ranges."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from utils.transforms import (
    Augmentation,
    augment,
    centred_crop,
    jitter,
    normalise,
    resize,
    rotate,
    salt_and_pepper,
    to_chw,
)

STILL = Augmentation(
    flip=0, crop=0, rotate=0, brightness=(10, 10), contrast=(10, 10), colour=(10, 10), sharpness=(10, 10)
)


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(256, size=(12, 15, 3), dtype=np.uint8)).resize((150, 120), Image.BILINEAR)
    return np.asarray(smooth)


@pytest.mark.parametrize("name", ["brightness", "contrast", "colour", "sharpness"])
@pytest.mark.parametrize("tenths", [0, 5, 13, 20])
def test_jitter_is_pils(image, name, tenths):
    options = Augmentation(
        **{n: (10, 10) for n in ("brightness", "contrast", "colour", "sharpness")} | {name: (tenths, tenths)}
    )
    ours = jitter(image, np.random.default_rng(0), options)
    enhancer = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "colour": ImageEnhance.Color,
        "sharpness": ImageEnhance.Sharpness,
    }[name]
    theirs = np.asarray(enhancer(Image.fromarray(image)).enhance(tenths / 10))
    inner = np.s_[1:-1, 1:-1]  # PIL leaves the outermost pixels as they are when it sharpens
    assert np.abs(ours[inner].astype(int) - theirs[inner]).max() <= 2


def test_nothing_changes_when_nothing_is_asked(image):
    mask = image[..., 0]
    new_image, new_mask = augment(image, mask, np.random.default_rng(0), STILL)
    assert np.array_equal(new_image, image) and np.array_equal(new_mask, mask)


def test_geometry_is_the_same_for_image_and_mask(image):
    mask = image[..., 0].copy()
    options = Augmentation(rotate=1.0, **{n: (10, 10) for n in ("brightness", "contrast", "colour", "sharpness")})
    for seed in range(10):
        new_image, new_mask = augment(image, mask, np.random.default_rng(seed), options)
        assert np.array_equal(new_image[..., 0], new_mask)


def test_crop_is_centred_and_takes_1_to_30_pixels_off(image):
    mask = image[..., 0]
    rng = np.random.default_rng(0)
    cuts = []
    for _ in range(500):
        cropped, cropped_mask = centred_crop(image, mask, rng, 30)
        assert cropped.shape[:2] == cropped_mask.shape
        cut = 120 - cropped.shape[0], 150 - cropped.shape[1]
        top, left = cut[0] // 2, cut[1] // 2
        assert np.array_equal(cropped, image[top : top + cropped.shape[0], left : left + cropped.shape[1]])
        cuts.append(cut)
    assert np.min(cuts) == 0 or np.min(cuts) == 1
    assert 29 <= np.max(cuts) <= 30
    assert np.mean(cuts) == pytest.approx(15.5, abs=1)


def test_rotation_is_pils(image):
    ours = rotate(image, 15).astype(int)
    theirs = np.asarray(Image.fromarray(image).rotate(15, Image.BICUBIC)).astype(int)
    inner = np.s_[30:90, 30:120]
    assert np.abs(ours[inner] - theirs[inner]).mean() < 1
    assert not ours[0, 0].any()


def test_choices_have_the_released_frequencies(image):
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[:, :20] = 255
    still = {n: (10, 10) for n in ("brightness", "contrast", "colour", "sharpness")}
    flips = [
        augment(image, mask, np.random.default_rng(seed), Augmentation(crop=0, rotate=0, **still))[1][0, 0] == 0
        for seed in range(400)
    ]
    assert np.mean(flips) == pytest.approx(0.5, abs=0.08)
    turned = [
        augment(image, mask, np.random.default_rng(seed), Augmentation(crop=0, flip=0, **still))[1][:, 20:].any()
        for seed in range(400)
    ]
    assert np.mean(turned) == pytest.approx(0.2 * 30 / 31, abs=0.06)  # an angle of 0 turns nothing


def test_mask_noise_salts_the_stated_share():
    noisy = salt_and_pepper(np.full((400, 500), 128, np.uint8), np.random.default_rng(0), 0.0015)
    assert set(np.unique(noisy)) == {0, 128, 255}
    assert (noisy != 128).mean() == pytest.approx(0.0015, rel=0.05)


@pytest.mark.parametrize("size", [(64, 64), (352, 352)])
def test_resizing_is_pils_up_to_one_level(image, size):
    ours = resize(to_chw(image), size).permute(1, 2, 0).numpy().astype(int)
    theirs = np.asarray(Image.fromarray(image).resize(size[::-1], Image.BILINEAR)).astype(int)
    assert np.abs(ours - theirs).max() <= 1


def test_normalisation_is_imagenets():
    image = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert normalise(image).flatten().tolist() == pytest.approx(expected, rel=1e-6)
