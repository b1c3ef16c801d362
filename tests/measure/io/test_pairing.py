"""Pairing by stem, natural order, and reading files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from measure.io.errors import InputError
from measure.io.images import read_grey
from measure.io.pairing import contents, counted, images_by_stem, natural_key, pair_by_stem, subfolders


def grey(seed: int = 0, shape: tuple[int, int] = (24, 31)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def test_numbers_are_compared_as_numbers() -> None:
    names = ["a10_image0099", "a9_image0100", "a9_image0098", "10", "9", "b", "a"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "a9_image0098", "a9_image0100", "a10_image0099", "b"]


def test_stems_pair_across_suffixes_and_unicode_forms(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.PNG", "f\u00fcr 1.png", ".hidden.png", "notes.txt"):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_bytes(b"x")
    for name in ("10.png", "9.tif", "fu\u0308r 1.bmp"):
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / name).write_bytes(b"x")
    pairs = pair_by_stem(tmp_path / "a", tmp_path / "b").pairs
    assert [(stem, first.name, second.name) for stem, first, second in pairs] == [
        ("9", "9.PNG", "9.tif"),
        ("10", "10.jpg", "10.png"),
        ("f\u00fcr 1", "f\u00fcr 1.png", "fu\u0308r 1.bmp"),
    ]


def test_missing_and_extra_are_listed_and_counted(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / "masks" / f"{number}.png", grey())
    for number in (0, 11, 77):
        save(tmp_path / "maps" / f"{number}.png", grey())
    with pytest.raises(
        InputError, match=r"2 of 12 maps found; 10 missing, first missing: 1, 2, 3, 4, 5 and 5 more; 1 "
    ):
        pair_by_stem(tmp_path / "masks", tmp_path / "maps")
    found = pair_by_stem(tmp_path / "masks", tmp_path / "maps", allow_missing=True, allow_extra=True)
    assert (len(found.pairs), found.missing[0], found.extra) == (2, "1", ["77"])
    with pytest.raises(InputError, match="extra: 77"):
        pair_by_stem(tmp_path / "masks", tmp_path / "maps", allow_missing=True)


def test_folders_that_are_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    for folder in (empty, tmp_path / "CVC-300"):
        folder.mkdir()
    with pytest.raises(InputError, match="no folder .*CVC300; .* holds CVC-300, empty"):
        images_by_stem(tmp_path / "CVC300")
    with pytest.raises(InputError, match="no image in"):
        images_by_stem(tmp_path / "CVC-300")
    with pytest.raises(InputError, match="is a file, a folder was expected"):
        images_by_stem(save(tmp_path / "1.png", grey()))
    save(tmp_path / "CVC-300" / "1.png", grey())
    save(tmp_path / "CVC-300" / "1.jpg", grey())
    with pytest.raises(InputError, match="two images of one stem, 1.jpg and 1.png"):
        images_by_stem(tmp_path / "CVC-300")
    save(tmp_path / "maps" / "2.png", grey())
    with pytest.raises(InputError, match="0 of 1 map found"):
        pair_by_stem(tmp_path / "maps", empty)


@pytest.mark.parametrize("target", ["gone.png", "1.png"])
def test_images_that_link_to_nothing_are_named(target: str, tmp_path: Path) -> None:
    save(tmp_path / "0.png", grey())
    (tmp_path / "1.png").symlink_to(target)  # to what is not there, or to itself
    (tmp_path / "notes.txt").symlink_to("notes.txt")
    with pytest.raises(InputError, match="holds 1 image that is a link to nothing: 1.png; mend the links, or remove"):
        images_by_stem(tmp_path)
    (tmp_path / "1.png").unlink()
    (tmp_path / "1.png").symlink_to("0.png")
    assert list(images_by_stem(tmp_path)) == ["0", "1"] and subfolders(tmp_path) == []
    assert contents(tmp_path) == "it holds 2 .png files"


@pytest.mark.parametrize("kind", ["color", "16 bit", "alpha", "palette"])
def test_other_kinds_of_png_read_as_the_same_grey(kind: str, tmp_path: Path) -> None:
    from PIL import Image

    image, path = grey(), tmp_path / "map.png"
    if kind == "palette":
        Image.fromarray(image).convert("P").save(path)
    else:
        wide = {
            "color": cv2.merge([image] * 3),
            "16 bit": image.astype(np.uint16) * 257,
            "alpha": cv2.merge([image, image, image, grey(1)]),
        }
        save(path, wide[kind])
    np.testing.assert_array_equal(read_grey(path), image)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_cut_off_file_is_refused_by_name(suffix: str, share: float, tmp_path: Path) -> None:
    path = save(tmp_path / f"map{suffix}", cv2.GaussianBlur(grey(shape=(96, 96)), (0, 0), 2))
    whole = path.read_bytes()
    assert read_grey(path).shape == (96, 96)
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=f"map{suffix}"):
        read_grey(path)


def test_a_flipped_byte_in_a_png_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "map.png", grey())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="wrong checksum"):
        read_grey(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xd9", b"BM"])
def test_what_is_no_image_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match="map.png"):
        read_grey(path)
    with pytest.raises(InputError, match="cannot read"):
        read_grey(tmp_path / "missing.png")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((1, "image"), "1 image"),
        ((0, "image"), "0 images"),
        ((1, "mask is", "masks are"), "1 mask is"),
        ((3, "mask is", "masks are"), "3 masks are"),
        ((1, "case of two", "cases of two"), "1 case of two"),
    ],
)
def test_words_go_by_the_number(given, expected):
    assert counted(*given) == expected


@pytest.mark.parametrize(
    ("count", "of", "expected"),
    [(1, 20, "1 of 20 masks is"), (3, 20, "3 of 20 masks are"), (1, 1, "1 of 1 mask is"), (0, 1, "0 of 1 mask are")],
)
def test_of_many_the_noun_goes_by_all_and_the_verb_by_those_counted(count, of, expected):
    assert counted(count, "mask is", "masks are", of=of) == expected
