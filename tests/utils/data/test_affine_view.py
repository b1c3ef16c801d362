"""Moves put together: one resampling shows what step after step shows, and paintings after the resize stay the same."""

import cv2
import numpy as np
import pytest

from utils.data.augmentation.affine_view import View
from utils.data.augmentation.transforms import (
    CentreCrop,
    Jitter,
    MaskNoise,
    RandomCrop,
    Zoom,
    augment,
    blur,
    parse_part,
)
from utils.data.preprocessing import resize, to_chw
from utils.phantom import phantom_still
from utils.training.recipes import RECIPES

OWN_SIZE, SIZE = (264, 311), (176, 176)  # half of 529 x 622 and 352 x 352


@pytest.fixture(scope="module")
def still():
    return phantom_still(seed=3, size=OWN_SIZE)[:2]


def step_by_step(image, mask, parts, size, seed):
    """Every part at the picture's own size, then the resize: the order of the released loader."""
    rng = np.random.default_rng(seed)
    for part in parts:
        image, mask = augment(image, mask, [rng], [part], size=None)
    return [resize(to_chw(picture), size).permute(1, 2, 0).numpy().squeeze() for picture in (image, mask)]


def at_once(image, mask, parts, size, seed):
    return augment(image, mask, [np.random.default_rng(seed)] * len(parts), parts, size=size)


def difference(first, second):
    return np.abs(first.astype(int) - second).mean()


def detail(image):
    """Mean strength of the finest detail, away from the border."""
    return np.abs(cv2.Laplacian(image.astype(float), cv2.CV_64F))[2:-2, 2:-2].mean()


# zooms blur less when made once, and the edges of holes are sharp when made after the resize
@pytest.mark.parametrize(("recipe", "sharper"), [("sepnet", 0.03), ("scrnet", 0.1), ("convsegnet", 0.1)])
def test_a_recipe_at_once_is_its_steps(still, recipe, sharper):
    """Levels of image and mask, sample for sample; and no drift of brightness, contrast, detail and polyp size."""
    parts = [parse_part(text) for text in RECIPES[recipe].augment]
    pairs = [(step_by_step(*still, parts, SIZE, seed), at_once(*still, parts, SIZE, seed)) for seed in range(60)]
    assert max(difference(steps[0], once[0]) for steps, once in pairs) < 3
    assert np.mean([difference(steps[0], once[0]) for steps, once in pairs]) < 0.8
    assert np.mean([difference(steps[1], once[1]) for steps, once in pairs]) < 0.25
    for statistic, bound in ((np.mean, 0.005), (np.std, 0.005), (detail, sharper)):
        steps, once = (np.mean([statistic(pair[k][0]) for pair in pairs]) for k in (0, 1))
        assert once == pytest.approx(steps, rel=bound), statistic
    areas = [[pair[k][1].mean() for pair in pairs] for k in (0, 1)]
    assert np.allclose(*areas, atol=0.6), "mean level of a mask is its polyp's area"


def test_a_turn_at_once_loses_little_detail(still):
    parts = [parse_part("rotate:p=1")]
    pairs = [(step_by_step(*still, parts, SIZE, seed), at_once(*still, parts, SIZE, seed)) for seed in range(8)]
    assert np.mean([difference(steps[0], once[0]) for steps, once in pairs]) < 1
    assert np.mean([detail(once[0]) / detail(steps[0]) for steps, once in pairs]) > 0.85


@pytest.mark.parametrize("parts", ["sepnet", "noise"])
def test_small_pictures_and_mask_noise_take_every_step_before_the_resize(still, parts):
    image, mask = still
    texts = RECIPES["sepnet"].augment
    if parts == "noise":
        parts, size = [*map(parse_part, texts), MaskNoise(share=0.01)], SIZE
    else:
        parts, size = [*map(parse_part, texts)], (320, 320)
    for seed in range(10):
        for steps, once in zip(
            step_by_step(image, mask, parts, size, seed), at_once(image, mask, parts, size, seed), strict=True
        ):
            # mirrored after the resize or before, a level may round the other way
            assert np.abs(steps.astype(int) - once).max() <= 1


@pytest.mark.parametrize("planes", [1, 2, 5])
def test_every_plane_of_a_mask_moves_with_the_image(still, planes):
    image = still[0]
    mask = np.dstack([image[..., k % 3] for k in range(planes)])
    parts = [parse_part(text) for text in ("flip", "centre_crop", "rotate:p=0.5", "zoom")]
    for seed in range(10):
        picture, moved = at_once(image, mask, parts, SIZE, seed)
        assert moved.shape == (*SIZE, planes)
        # OpenCV's vector code may round a channel otherwise than its neighbour
        assert max(np.abs(picture[..., k % 3].astype(int) - moved[..., k]).max() for k in range(planes)) <= 1


def test_sharpness_is_pils_before_a_resize_and_weaker_after_it(still):
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 252
    assert np.array_equal(blur(dot, (1, 1))[1:4, 1:4], np.full((3, 3), 28))
    grown = blur(dot, (1.5, 2.0)).astype(int)
    assert abs(grown.sum() - 252) <= 4 and grown[2, 2] > grown[1, 2] > grown[2, 1] > grown[1, 1] > 0
    fixed = dict.fromkeys(("brightness", "contrast", "colour"), (10, 10))
    parts = [Jitter(**fixed, sharpness=(30, 30))]
    (steps, _), (once, _) = step_by_step(*still, parts, SIZE, 0), at_once(*still, parts, SIZE, 0)
    unscaled, _ = parts[0](*at_once(*still, [], SIZE, 0), np.random.default_rng(0), (1, 1))
    assert detail(once) == pytest.approx(detail(steps), rel=0.1)
    assert detail(unscaled) > 1.2 * detail(steps)
    assert difference(once, steps) < 0.5 * difference(unscaled, steps)


def test_moves_undo_each_other(still):
    image, view = still[0], View.whole(OWN_SIZE)
    same = (view, view.mirrored().mirrored(), view.upside_down().upside_down(), view.turned(0))
    assert all(again.is_whole(OWN_SIZE) for again in same)
    assert not view.mirrored().is_whole(OWN_SIZE) and not view.cropped(0, 0, (9, 9)).is_whole(OWN_SIZE)
    square = image[:200, :200]
    quarter = View.whole((200, 200)).turned(90).render(square)
    assert np.array_equal(quarter, np.rot90(square))
    inside = view.cropped(20, 30, (100, 120)).cropped(-20, -30, OWN_SIZE).render(image)
    assert np.array_equal(inside[20:120, 30:150], image[20:120, 30:150])
    assert inside.sum() == image[20:120, 30:150].sum(dtype=int), "what was cut off stays black"


def test_a_window_outside_the_picture_is_black(still):
    view = View.whole(OWN_SIZE).cropped(0, 400, (50, 60))
    assert view.render(still[0]).shape == (50, 60, 3) and not view.render(still[0]).any()
    parts = [Zoom(factor=(0.1, 0.1), p=1), RandomCrop(side=(0.2, 0.2), p=1), CentreCrop()]
    empty = [not at_once(*still, parts, SIZE, seed)[0].any() for seed in range(20)]
    assert 0 < sum(empty) < 20
