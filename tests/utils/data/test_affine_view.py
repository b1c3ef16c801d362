"""Geometry put together: one resampling shows what step after step shows; so do pixel transforms after the resize."""

import cv2
import numpy as np
import pytest

from utils.data.augmentation.affine_view import AffineView
from utils.data.augmentation.pipeline import augment, parse_augmentation
from utils.data.augmentation.transforms import CenterCrop, Jitter, MaskNoise, RandomCrop, Zoom, blur
from utils.data.preprocessing import resize, to_chw
from utils.phantom import phantom_still
from utils.training.recipes import RECIPES

OWN_SIZE, SIZE = (264, 311), (176, 176)  # half of 529 x 622 and 352 x 352


@pytest.fixture(scope="module")
def still():
    return phantom_still(seed=3, size=OWN_SIZE)[:2]


def step_by_step(image, mask, augmentations, size, seed):
    """Every augmentation at the image's own size, then the resize: the order of the released loader."""
    rng = np.random.default_rng(seed)
    for each in augmentations:
        image, mask = augment(image, mask, [rng], [each], size=None)
    return [resize(to_chw(picture), size).permute(1, 2, 0).numpy().squeeze() for picture in (image, mask)]


def at_once(image, mask, augmentations, size, seed):
    return augment(image, mask, [np.random.default_rng(seed)] * len(augmentations), augmentations, size=size)


def both_ways(image, mask, augmentations, seed, *, size=SIZE):
    return step_by_step(image, mask, augmentations, size, seed), at_once(image, mask, augmentations, size, seed)


def difference(first, second):
    return np.abs(first.astype(int) - second).mean()


def detail(image):
    """Mean strength of the finest detail, away from the border."""
    return np.abs(cv2.Laplacian(image.astype(float), cv2.CV_64F))[2:-2, 2:-2].mean()


# zooms blur less when made once, and the edges of holes are sharp when made after the resize
@pytest.mark.parametrize(("recipe", "sharper"), [("sepnet", 0.03), ("scrnet", 0.1), ("convsegnet", 0.1)])
def test_a_recipe_at_once_is_its_steps(still, recipe, sharper):
    """Levels of image and mask, sample for sample; and no drift of brightness, contrast, detail and polyp size."""
    augmentations = [parse_augmentation(text) for text in RECIPES[recipe].config.augment]
    pairs = [both_ways(*still, augmentations, seed) for seed in range(60)]
    assert max(difference(steps[0], once[0]) for steps, once in pairs) < 3
    assert np.mean([difference(steps[0], once[0]) for steps, once in pairs]) < 0.8
    assert np.mean([difference(steps[1], once[1]) for steps, once in pairs]) < 0.25
    for statistic, bound in ((np.mean, 0.005), (np.std, 0.005), (detail, sharper)):
        steps, once = (np.mean([statistic(pair[k][0]) for pair in pairs]) for k in (0, 1))
        assert once == pytest.approx(steps, rel=bound), statistic
    areas = [[pair[k][1].mean() for pair in pairs] for k in (0, 1)]
    assert np.allclose(*areas, atol=0.6), "mean level of a mask is its polyp's area"


def test_a_turn_at_once_loses_little_detail(still):
    augmentations = [parse_augmentation("rotate:p=1")]
    pairs = [both_ways(*still, augmentations, seed) for seed in range(8)]
    assert np.mean([difference(steps[0], once[0]) for steps, once in pairs]) < 1
    assert np.mean([detail(once[0]) / detail(steps[0]) for steps, once in pairs]) > 0.85


@pytest.mark.parametrize("augmentations", ["sepnet", "noise"])
def test_small_pictures_and_mask_noise_take_every_step_before_the_resize(still, augmentations):
    image, mask = still
    texts = RECIPES["sepnet"].config.augment
    if augmentations == "noise":
        augmentations, size = [*map(parse_augmentation, texts), MaskNoise(fraction=0.01)], SIZE
    else:
        augmentations, size = [*map(parse_augmentation, texts)], (320, 320)
    for seed in range(10):
        for steps, once in zip(*both_ways(image, mask, augmentations, seed, size=size), strict=True):
            # mirrored after the resize or before, a level may round the other way
            assert np.abs(steps.astype(int) - once).max() <= 1


@pytest.mark.parametrize("planes", [1, 2, 5])
def test_every_plane_of_a_mask_moves_with_the_image(still, planes):
    image = still[0]
    mask = np.dstack([image[..., k % 3] for k in range(planes)])
    augmentations = [parse_augmentation(text) for text in ("flip", "center_crop", "rotate:p=0.5", "zoom")]
    for seed in range(10):
        picture, moved = at_once(image, mask, augmentations, SIZE, seed)
        assert moved.shape == (*SIZE, planes)
        # OpenCV's vector code may round a channel otherwise than its neighbour
        assert max(np.abs(picture[..., k % 3].astype(int) - moved[..., k]).max() for k in range(planes)) <= 1


def test_sharpness_is_pils_before_a_resize_and_weaker_after_it(still):
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 252
    assert np.array_equal(blur(dot, (1, 1))[1:4, 1:4], np.full((3, 3), 28))
    grown = blur(dot, (1.5, 2.0)).astype(int)
    assert abs(grown.sum() - 252) <= 4 and grown[2, 2] > grown[1, 2] > grown[2, 1] > grown[1, 1] > 0
    fixed = dict.fromkeys(("brightness", "contrast", "color"), (10, 10))
    augmentations = [Jitter(**fixed, sharpness=(30, 30))]
    (steps, _), (once, _) = both_ways(*still, augmentations, 0)
    unscaled, _ = augmentations[0](*at_once(*still, [], SIZE, 0), np.random.default_rng(0), (1, 1))
    assert detail(once) == pytest.approx(detail(steps), rel=0.1)
    assert detail(unscaled) > 1.2 * detail(steps)
    assert difference(once, steps) < 0.5 * difference(unscaled, steps)


def test_transforms_undo_each_other(still):
    image, view = still[0], AffineView.whole(OWN_SIZE)
    flips = view.flipped_horizontally().flipped_horizontally(), view.flipped_vertically().flipped_vertically()
    assert all(again.is_whole(OWN_SIZE) for again in (view, *flips, view.rotated(0)))
    assert not view.flipped_horizontally().is_whole(OWN_SIZE) and not view.cropped(0, 0, (9, 9)).is_whole(OWN_SIZE)
    square = image[:200, :200]
    quarter = AffineView.whole((200, 200)).rotated(90).render(square)
    assert np.array_equal(quarter, np.rot90(square))
    inside = view.cropped(20, 30, (100, 120)).cropped(-20, -30, OWN_SIZE).render(image)
    assert np.array_equal(inside[20:120, 30:150], image[20:120, 30:150])
    assert inside.sum() == image[20:120, 30:150].sum(dtype=int), "what was cut off stays black"


def test_a_window_outside_the_picture_is_black(still):
    view = AffineView.whole(OWN_SIZE).cropped(0, 400, (50, 60))
    assert view.render(still[0]).shape == (50, 60, 3) and not view.render(still[0]).any()
    augmentations = [Zoom(factor=(0.1, 0.1), p=1), RandomCrop(side=(0.2, 0.2), p=1), CenterCrop()]
    empty = [not at_once(*still, augmentations, SIZE, seed)[0].any() for seed in range(20)]
    assert 0 < sum(empty) < 20
