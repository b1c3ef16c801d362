"""The augmentations: joint geometry, PIL's arithmetic, chances, and how they are written."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from measure.io.errors import InputError
from utils.data.augmentation.affine_view import AffineView
from utils.data.augmentation.appearance import Blur, Gamma, Hue, MaskBorder, Noise, Shading, Texture, Tint
from utils.data.augmentation.pipeline import AUGMENTATIONS, augment, parse_augmentation
from utils.data.augmentation.transforms import (
    CenterCrop,
    Contrast,
    Dropout,
    Flip,
    FlipUpsideDown,
    Jitter,
    MaskNoise,
    RandomCrop,
    Rotate,
    Zoom,
)

GEOMETRY = [Flip(p=1), FlipUpsideDown(p=1), CenterCrop(), RandomCrop(p=1), Rotate(degrees=35, p=1), Zoom(p=1)]
AS_IT_IS = {name: (10, 10) for name in ("brightness", "contrast", "color", "sharpness")}


def rng(seed=0):
    return np.random.default_rng(seed)


def alone(each, image, mask, generator=None):
    """An augmentation without a resize."""
    return augment(image, mask, [generator or rng()], [each], size=None)


@pytest.fixture
def image():
    smooth = Image.fromarray(rng().integers(256, size=(12, 15, 3), dtype=np.uint8)).resize((150, 120), Image.BILINEAR)
    return np.asarray(smooth)


@pytest.mark.parametrize("each", GEOMETRY, ids=lambda each: type(each).__name__)
def test_geometry_moves_the_mask_exactly_with_the_image(image, each):
    """A mask that is one channel of the image stays that channel, to the bit."""
    for seed in range(20):
        new_image, new_mask = alone(each, image, image[..., 1].copy(), rng(seed))
        assert np.array_equal(new_image[..., 1], new_mask)
        assert new_image.dtype == new_mask.dtype == np.uint8


APPEARANCE = [
    *(Hue(p=1), Tint(p=1), Gamma(p=1), Shading(p=1), Texture(p=1), Noise(p=1)),
    Blur(deviation=(0.01, 0.02), p=1),
]


@pytest.mark.parametrize("each", [Dropout(p=1), Contrast(p=1), Jitter(), *APPEARANCE], ids=lambda e: type(e).__name__)
def test_colors_and_holes_leave_the_mask_alone(image, each):
    mask = image[..., 0].copy()
    new_image, new_mask = alone(each, image, mask)
    assert new_mask is mask
    assert not np.array_equal(new_image, image)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_an_augmentation_depends_on_its_generator_alone_and_changes_nothing_in_place(image, name):
    before, mask = image.copy(), image[..., 0].copy()
    for seed in range(5):
        first, second = (alone(AUGMENTATIONS[name](), image, mask, rng(seed)) for _ in range(2))
        assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert np.array_equal(image, before) and np.array_equal(mask, before[..., 0])


@pytest.mark.parametrize("name", [name for name, each in AUGMENTATIONS.items() if "p" in each.__dataclass_fields__])
def test_an_augmentation_with_chance_0_does_nothing(image, name):
    mask = image[..., 0].copy()
    new_image, new_mask = alone(AUGMENTATIONS[name](p=0), image, mask)
    assert new_image is image and new_mask is mask


def test_parts_come_one_after_the_other(image):
    mask = image[..., 0].copy()
    new_image, new_mask = augment(image, mask, [rng()] * 2, [Flip(p=1), FlipUpsideDown(p=1)], size=None)
    assert np.array_equal(new_image, image[::-1, ::-1]) and np.array_equal(new_mask, mask[::-1, ::-1])
    assert augment(image, mask, [], [], size=None)[0] is image


@pytest.mark.parametrize("name", ["brightness", "contrast", "color", "sharpness"])
@pytest.mark.parametrize("tenths", [0, 5, 13, 20])
def test_jitter_is_pils(image, name, tenths):
    ours, _ = alone(Jitter(**AS_IT_IS | {name: (tenths, tenths)}), image, image[..., 0])
    enhancer = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "color": ImageEnhance.Color,
        "sharpness": ImageEnhance.Sharpness,
    }[name]
    theirs = np.asarray(enhancer(Image.fromarray(image)).enhance(tenths / 10))
    inner = np.s_[1:-1, 1:-1]  # PIL leaves the outermost pixels as they are when it sharpens
    assert np.abs(ours[inner].astype(int) - theirs[inner]).max() <= 2


def test_the_center_crop_takes_1_to_30_pixels_off(image):
    cuts, generator = [], rng()
    for _ in range(500):
        cropped, _ = alone(CenterCrop(pixels=30), image, image[..., 0], generator)
        cut = 120 - cropped.shape[0], 150 - cropped.shape[1]
        top, left = cut[0] // 2, cut[1] // 2
        assert np.array_equal(cropped, image[top : top + cropped.shape[0], left : left + cropped.shape[1]])
        cuts.append(cut)
    assert 0 <= np.min(cuts) <= 1 and 29 <= np.max(cuts) <= 30
    assert np.mean(cuts) == pytest.approx(15.5, abs=1)


def test_the_random_crop_lies_anywhere_and_has_the_sides_asked_for():
    ramp = np.add.outer(np.arange(100), np.arange(120)).astype(np.uint8)
    rows = np.repeat(np.arange(100, dtype=np.uint8)[:, None], 120, axis=1)
    tops, heights = [], []
    for seed in range(300):
        _, mask = alone(RandomCrop(side=(0.5, 0.8), p=1), cv2.merge([ramp] * 3), rows, rng(seed))
        tops.append(int(mask[0, 0])), heights.append(mask.shape[0])
        assert np.array_equal(np.diff(mask[:, 0].astype(int)), np.ones(len(mask) - 1))
    assert min(heights) >= 50 and max(heights) <= 80 and max(heights) - min(heights) > 25
    assert min(tops) <= 1 and max(tops) > 35


def test_rotation_is_pils(image):
    ours = AffineView.whole(image.shape[:2]).rotated(15).render(image).astype(int)
    theirs = np.asarray(Image.fromarray(image).rotate(15, Image.BICUBIC)).astype(int)
    inner = np.s_[30:90, 30:120]
    assert np.abs(ours[inner] - theirs[inner]).mean() < 1
    assert not ours[0, 0].any()


@pytest.mark.parametrize(("factor", "area"), [(0.5, 0.25), (1.0, 1.0), (2.0, 4.0)])
def test_zoom_scales_areas(factor, area):
    """A square of 20 pixels becomes one of 20 x the factor, wherever the frame lies as long as it is in it."""
    mask = np.zeros((100, 100), np.uint8)
    mask[40:60, 40:60] = 255
    zoom = Zoom(factor=(factor, factor), p=1)
    whole = [
        new for seed in range(30) if not border(new := alone(zoom, cv2.merge([mask] * 3), mask, rng(seed))[1]).any()
    ]
    assert len(whole) >= 5
    for new in whole:
        assert new.shape == mask.shape
        assert new.sum() / mask.sum() == pytest.approx(area, rel=0.05)
    if factor == 1:
        assert all(np.array_equal(new, mask) for new in whole)


def border(mask):
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def test_zoom_goes_in_as_often_as_out():
    image = np.full((160, 160, 3), 255, np.uint8)
    shown = [alone(Zoom(p=1), image, image[..., 0], rng(seed))[1].min() == 255 for seed in range(400)]
    assert np.mean(shown) == pytest.approx(0.5, abs=0.07)  # zoomed in, no black is seen


def test_dropout_blacks_out_holes_of_the_size_asked_for():
    image = np.full((80, 160, 3), 200, np.uint8)
    dropped, _ = alone(Dropout(holes=1, side=0.25, p=1), image, image[..., 0])
    assert (dropped == 0).all(axis=2).sum() == 20 * 40
    many, _ = alone(Dropout(holes=10, side=0.125, p=1), image, image[..., 0])
    assert 10 * 20 < (many == 0).all(axis=2).sum() <= 10 * 10 * 20


def test_contrast_moves_levels_away_from_the_mean_grey():
    image = np.full((10, 10, 3), 100, np.uint8)
    image[:5] = 140
    sharper, _ = alone(Contrast(factor=(1.5, 1.5), p=1), image, image[..., 0])
    assert sorted(np.unique(sharper)) == [90, 150]  # 120 -+ 1.5 x 20


@pytest.mark.parametrize(("each", "chance"), [(Flip(), 0.5), (FlipUpsideDown(p=0.3), 0.3), (Rotate(), 0.2 * 30 / 31)])
def test_chances_are_the_stated_ones(image, each, chance):
    small = image[::4, ::4]
    changed = [not np.array_equal(alone(each, small, small[..., 0], rng(seed))[0], small) for seed in range(400)]
    assert np.mean(changed) == pytest.approx(chance, abs=0.07)


def test_mask_noise_hits_the_stated_fraction():
    image = np.zeros((400, 500, 3), np.uint8)
    _, noisy = alone(MaskNoise(), image, np.full((400, 500), 128, np.uint8))
    assert set(np.unique(noisy)) == {0, 128, 255}
    assert (noisy != 128).mean() == pytest.approx(0.0015, rel=0.05)


def level(*rgb):
    """An image of one color, and a mask."""
    return np.full((40, 50, 3), rgb, np.uint8), np.zeros((40, 50), np.uint8)


def test_hue_turns_colors_about_grey_and_keeps_luma():
    grey, _ = alone(Hue(degrees=(90, 90), saturation=(2, 2), p=1), *level(90, 90, 90))
    assert np.abs(grey.astype(int) - 90).max() <= 1
    whole_turn, _ = alone(Hue(degrees=(180, 180), saturation=(1, 1), p=1), *level(140, 100, 90))
    luma = 0.299 * 140 + 0.587 * 100 + 0.114 * 90  # half a turn mirrors a color at the grey of its luma
    assert whole_turn[0, 0] == pytest.approx(2 * luma - np.array([140, 100, 90]), abs=1)
    pale, _ = alone(Hue(degrees=(0, 0), saturation=(0.5, 0.5), p=1), *level(140, 100, 90))
    assert pale[0, 0] == pytest.approx(luma + 0.5 * (np.array([140, 100, 90]) - luma), abs=1)


def test_tint_scales_each_channel_by_a_factor_of_its_own():
    new, _ = alone(Tint(gain=(0.5, 1.5), p=1), *level(100, 100, 100), rng(2))
    generator = rng(2)
    generator.random()
    assert new[0, 0] == pytest.approx(100 * generator.uniform(0.5, 1.5, size=3), abs=0.51)
    assert len(set(new[0, 0])) == 3


@pytest.mark.parametrize(("exponent", "expected"), [(0.5, [0, 128, 255]), (1.0, [0, 64, 255]), (2.0, [0, 16, 255])])
def test_gamma_raises_levels_to_its_exponent(exponent, expected):
    new, _ = alone(Gamma(exponent=(exponent, exponent), p=1), *level(0, 64, 255))
    assert new[0, 0].tolist() == expected  # 255 (64 / 255)^0.5 = 127.7 and 255 (64 / 255)^2 = 16.06


def test_gamma_darkens_as_often_as_it_brightens():
    means = [alone(Gamma(exponent=(0.25, 4), p=1), *level(100, 100, 100), rng(seed))[0][0, 0, 0] for seed in range(400)]
    assert np.mean(np.array(means) > 100) == pytest.approx(0.5, abs=0.07)


def test_shading_is_smooth_and_within_its_strength():
    new, _ = alone(Shading(strength=0.5, p=1), *level(100, 100, 100))
    assert new.min() >= 50 and new.max() <= 150 and np.ptp(new) > 20
    assert np.abs(np.diff(new[..., 0].astype(int), axis=1)).max() <= 8  # 100 levels over a third of 50 pixels
    assert np.array_equal(new[..., 0], new[..., 2])


def test_texture_keeps_the_mean_color_and_what_is_not_mixed(image):
    same, _ = alone(Texture(mix=(0, 0), p=1), image, image[..., 0])
    assert np.array_equal(same, image)
    flat, _ = alone(Texture(mix=(1, 1), p=1), *level(140, 100, 90))
    assert np.array_equal(flat, level(140, 100, 90)[0])
    textured, _ = alone(Texture(mix=(1, 1), p=1), image, image[..., 0])
    assert np.abs(textured.astype(int) - image).mean() > 5


def test_blur_has_the_stated_deviation_whatever_the_size():
    for height in (100, 300):
        image = np.zeros((height, height, 3), np.uint8)
        image[:, : height // 2] = 250
        blurred, _ = alone(Blur(deviation=(0.02, 0.02), p=1), image, image[..., 0])
        # a step blurred by a Gaussian falls to 16 % of itself one deviation behind the edge
        assert blurred[height // 2, height // 2 + round(0.02 * height), 0] == pytest.approx(0.16 * 250, abs=15)


def test_noise_has_the_stated_deviation():
    noisy, _ = alone(Noise(deviation=(8, 8), p=1), *level(128, 128, 128))
    assert noisy.std() == pytest.approx(8, rel=0.03) and noisy.mean() == pytest.approx(128, abs=0.5)


@pytest.mark.parametrize(("pixels", "side"), [(3, 16), (-3, 4), (0, 10)])
def test_the_mask_border_moves_by_whole_pixels_and_the_image_stays(pixels, side):
    image, mask = level(1, 2, 3)
    mask[15:25, 15:25] = 255
    planes = np.dstack([mask, mask[::-1]])
    for given in (mask, mask[..., None], planes):
        new_image, new = alone(MaskBorder(pixels=(pixels, pixels), p=1), image, given)
        assert new.shape == given.shape and new_image is image
        rows, columns = np.nonzero(new if new.ndim == 2 else new[..., 0])
        assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == side
    assert mask.sum() == 100 * 255


def test_the_mask_border_moves_out_as_often_as_in():
    image, mask = level(1, 2, 3)
    mask[15:25, 15:25] = 255
    sizes = [int((alone(MaskBorder(p=1), image, mask, rng(seed))[1] > 0).sum()) for seed in range(500)]
    assert np.mean(np.array(sizes) > 100) == pytest.approx(0.4, abs=0.07)  # 1 and 2 of -2, -1, 0, 1, 2
    assert np.mean(np.array(sizes) < 100) == pytest.approx(0.4, abs=0.07)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flip", Flip()),
        ("hue:degrees=-30..30,saturation=0.5..1.5,p=0.8", Hue(degrees=(-30, 30), saturation=(0.5, 1.5), p=0.8)),
        ("mask_border:pixels=-1..2", MaskBorder(pixels=(-1, 2))),
        ("rotate:degrees=35,p=0.3", Rotate(degrees=35, p=0.3)),
        ("zoom:factor=0.5..2", Zoom(factor=(0.5, 2.0))),
        ("jitter:color=8..12", Jitter(color=(8, 12))),
        ("jitter:colour=8..12", Jitter(color=(8, 12))),
        ("center_crop:pixels=9", CenterCrop(pixels=9)),
        ("centre_crop:pixels=9", CenterCrop(pixels=9)),
        ("mask_noise:fraction=0.1", MaskNoise(fraction=0.1)),
        ("mask_noise:share=0.1", MaskNoise(fraction=0.1)),
    ],
)
def test_augmentations_are_read_from_text(text, expected):
    assert parse_augmentation(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flop", "unknown augmentation 'flop'; known are flip, "),
        ("flip:q=1", "flip has no setting 'q'; its settings are p"),
        ("flip:p=2", "p is '2'; expected a number between 0 and 1"),
        ("flip:=1", "flip has no setting ''; its settings are p"),
        ("flip:p", "p is ''; expected a number between 0 and 1"),
        ("rotate:degrees=3.5", "expected a number, a whole one between 0 and 180"),
        ("zoom:factor=2..0.5", "expected a range low..high between 0.01 and 100"),
        ("zoom:factor=2", "expected a range low..high"),
        ("dropout:p=nan", "expected a number between 0 and 1"),
        ("hue:degrees=-200..0", "expected a range low..high between -180 and 180"),
        ("gamma:exponent=0..1", "expected a range low..high between 0.05 and 20"),
        ("mask_border:pixels=0.5..1", "expected a range low..high of whole numbers between -100 and 100"),
    ],
)
def test_mistakes_in_the_text_are_told(text, message):
    with pytest.raises(InputError) as error:
        parse_augmentation(text)
    assert message in str(error.value)
