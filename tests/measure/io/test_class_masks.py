"""Masks of several classes: how they are named, read as planes, and what is refused."""

import re

import cv2
import numpy as np
import pytest
from PIL import Image

from measure.io.class_masks import MERGED, examine_masks, parse_classes
from measure.io.errors import InputError
from measure.io.masks import read_mask
from tests.helpers.two_classes import CLASSES, INDEX_TEXTS, TEXTS

LABELS = np.zeros((40, 60), np.uint8)
LABELS[5:20, 5:25] = 1
LABELS[12:35, 25:50] = 2  # the two classes touch


def write_rgb(path, picture):
    cv2.imwrite(str(path), picture[..., ::-1])
    return path


def test_flags_are_read_and_written_alike():
    assert CLASSES.names == ("neoplastic", "non-neoplastic")
    assert CLASSES.values == ((255, 0, 0), (0, 255, 0)) and CLASSES.by_color
    assert str(CLASSES) == " ".join(TEXTS)
    assert parse_classes(str(parse_classes(INDEX_TEXTS)).split()).values == ((1,), (2,))


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["a=1"], "give two classes or more"),
        ([], "give two classes or more"),
        (["a=1", "b=255,0,0"], "a color for every class, or an index for every class"),
        (["a=1", "a=2"], "names and values must differ"),
        (["a=1", "b=1"], "names and values must differ"),
        (["a=1", "b=0"], "none may be 0, background"),
        (["a=0,0,0", "b=255,0,0"], "none may be 0, background"),
        (["a=red", "b=2"], "--classes a=red was given; expected NAME=R,G,B or NAME=INDEX"),
        (["a=255,0", "b=2"], "--classes a=255,0 was given"),
        (["a=256", "b=2"], "numbers up to 255"),
        (["merged=1", "b=2"], "no name of merged, labels, heatmap"),
        (["../a=1", "b=2"], "--classes ../a=1 was given"),
    ],
)
def test_what_cannot_be_classes_is_refused(texts, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        parse_classes(texts)


def test_a_color_mask_gives_a_plane_a_class(tmp_path):
    path = write_rgb(tmp_path / "mask.png", CLASSES.picture(LABELS))
    planes = CLASSES.read_planes(path)
    assert planes.shape == (40, 60, 2) and planes.dtype == np.uint8
    for label, name in enumerate(CLASSES.names, start=1):
        assert np.array_equal(planes[..., label - 1], 255 * (LABELS == label))
        assert np.array_equal(examine_masks(path, CLASSES, [name])[0].levels, planes[..., label - 1])
    assert np.array_equal(examine_masks(path, CLASSES, [MERGED])[0].levels, 255 * (LABELS > 0))
    with pytest.raises(InputError, match=r"is a color mask with 0,255,0, 255,0,0 \(R,G,B\).* --classes NAME=R,G,B"):
        read_mask(path)


@pytest.mark.parametrize("quality", [60, 95])
def test_a_smeared_jpeg_is_read_within_a_pixel_of_the_borders(tmp_path, quality):
    path = tmp_path / "mask.jpg"
    cv2.imwrite(str(path), CLASSES.picture(LABELS)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    planes = CLASSES.read_planes(path)
    for label in (1, 2):
        truth = (LABELS == label).astype(np.uint8)
        square = np.ones((5, 5), np.uint8)
        assert (planes[..., label - 1] <= 255 * cv2.dilate(truth, square)).all()
        assert (planes[..., label - 1] >= 255 * cv2.erode(truth, square)).all()


def test_other_colors_are_nearest_by_distance(tmp_path):
    """Against every pixel's distances written out."""
    picture = np.random.default_rng(0).integers(100, size=(30, 30, 3), dtype=np.uint8)
    picture[..., 0] += 40
    planes = parse_classes(["a=200,0,0", "b=0,200,0", "c=140,100,60"]).read_planes(
        write_rgb(tmp_path / "m.png", picture)
    )
    known = np.array([(0, 0, 0), (200, 0, 0), (0, 200, 0), (140, 100, 60)])
    nearest = ((picture[:, :, None].astype(int) - known) ** 2).sum(axis=3).argmin(axis=2)
    assert np.array_equal(planes, 255 * (nearest[..., None] == [1, 2, 3]))


@pytest.mark.parametrize("color", [(0, 0, 255), (255, 255, 0), (255, 255, 255), (128, 128, 128)])
def test_a_color_of_no_class_is_named_with_its_file(tmp_path, color):
    picture = CLASSES.picture(LABELS)
    picture[36:39, :20] = color
    path = write_rgb(tmp_path / "mask.png", picture)
    written = ",".join(map(str, color))
    with pytest.raises(InputError, match=rf"{path}: color {written} is neither neoplastic=255,0,0 .*2.5% of the mask"):
        CLASSES.read_planes(path)
    picture[36:39, :20] = 0
    picture[38, 0] = color  # a stray pixel is no class
    CLASSES.read_planes(write_rgb(path, picture))


def test_indices_are_read_from_grey_and_from_palettes(tmp_path):
    classes = parse_classes(["a=3", "b=7"])
    indices = classes.picture(LABELS)
    assert indices.shape == LABELS.shape and set(np.unique(indices)) == {0, 3, 7}
    palette = Image.fromarray(indices, "P")
    palette.putpalette([channel for k in range(256) for channel in (k * 29 % 256, k * 53 % 256, 255 - k)])
    palette.save(tmp_path / "palette.png")
    Image.fromarray(indices).save(tmp_path / "grey.png")
    Image.fromarray(indices.astype(np.uint16)).save(tmp_path / "deep.png")
    for name in ("palette.png", "grey.png", "deep.png"):
        planes = classes.read_planes(tmp_path / name)
        assert np.array_equal(planes, 255 * (LABELS[..., None] == [1, 2])), name


def test_indices_must_be_known_and_no_colors(tmp_path):
    classes = parse_classes(INDEX_TEXTS)
    indices = LABELS.copy()
    indices[0, :6] = 9
    cv2.imwrite(str(tmp_path / "mask.png"), indices)
    with pytest.raises(InputError, match="mask.png: index 9 is neither neoplastic=1 non-neoplastic=2 nor background"):
        classes.read_planes(tmp_path / "mask.png")
    with pytest.raises(InputError, match="is a color picture, no mask of indices; give colors, as R,G,B"):
        classes.read_planes(write_rgb(tmp_path / "colors.png", CLASSES.picture(LABELS)))
    data = (tmp_path / "mask.png").read_bytes()
    (tmp_path / "mask.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="the PNG is cut off"):
        classes.read_planes(tmp_path / "mask.png")
