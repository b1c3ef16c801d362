"""What real users' folders hold: odd kinds of masks and files, read right or refused with a way out that works."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import cv2
import numpy as np
import pytest
from PIL import Image

from measure.io import (
    InputError,
    Layout,
    examine_mask,
    orientation_of,
    parse_mask_values,
    read_grey,
    read_map,
    read_mask,
    read_rgb,
)
from measure.io.headers import read_header
from measure.options import Options
from tests.helpers.odd_inputs import COUNT, MASKS, blob, save, score_in, tagged, write_case


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict, str]]:
    """Score this test's folder with the given flags."""
    return partial(score_in, tmp_path, capsys)


@pytest.mark.parametrize(
    "kind",
    ["sixteen_bit", "one_bit", "grey_rgb", "grey_with_alpha", "grey_palette"],
)
def test_masks_that_can_be_told_are_read_without_a_word(kind: str, tmp_path: Path, run) -> None:
    write_case(tmp_path, MASKS[kind])
    status, scores, told = run()
    assert status == 0 and scores["datasets"]["gt"]["Dice"] == 1.0
    assert scores["cautions"] == [] and told == ""


@pytest.mark.parametrize("kind", ["zero_one", "zero_one_rgb", "sixteen_bit_zero_one"])
def test_masks_of_zero_and_one_are_read_as_such_with_one_note(kind: str, tmp_path: Path, run) -> None:
    write_case(tmp_path, MASKS[kind])
    status, scores, told = run()
    assert status == 0 and scores["datasets"]["gt"]["Dice"] == 1.0
    note = "gt: 6 of 6 masks hold 0 and 1 and were read as background and polyp."
    assert scores["cautions"] == [note] and told == f"caution: {note}\n"
    assert note in (tmp_path / "out/scores.md").read_text() and note in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize(
    ("kind", "sentence", "values"),
    [
        ("red", "is a color mask with 255,0,0 (R,G,B)", "255,0,0"),
        ("palette", "is a palette mask with the indices 0, 1", "1"),
        ("half", "is 127 at its brightest", "127"),
        ("at_128", "is 128 at its brightest", "128"),
        ("sixteen_bit_255", "is a 16-bit file whose highest value is 255", "255"),
        ("sixteen_bit_1000", "is a 16-bit file whose highest value is 1000", "1000"),
        ("sixteen_bit_below", "is a 16-bit file whose highest value is 33023", "33023"),
        ("alpha", "the mask seems to lie in the alpha channel", ""),
    ],
)
def test_masks_nobody_can_tell_are_refused_with_a_way_out_that_works(
    kind: str, sentence: str, values: str, tmp_path: Path, run
) -> None:
    write_case(tmp_path, MASKS[kind])
    status, _, told = run()
    assert status == 2 and sentence in told and "(and 5 more like it)" in told
    if values:
        assert f"--mask_values {values}" in told or "--mask_values 1" in told
        status, scores, told = run("--mask_values", values)
        assert status == 0 and scores["datasets"]["gt"]["Dice"] == 1.0 and told == ""
        assert scores["options"]["mask_values"] == values


def test_masks_of_two_kinds_in_one_set_are_refused(tmp_path: Path, run) -> None:
    write_case(tmp_path, MASKS["mixed"])
    status, _, told = run()
    assert status == 2 and "gt: 1 mask holds 0 and 1 (0) and 5 others levels up to 255 (1, 2, 3, 4, 5)" in told
    assert run("--mask_values", "1", "255")[1]["datasets"]["gt"]["Dice"] == 1.0


def test_several_values_are_polyp_and_others_background(tmp_path: Path) -> None:
    indices = np.repeat(np.array([[0, 1, 2, 255]], np.uint8), 4, axis=0)
    save(tmp_path / "i.png", indices)
    read = read_mask(tmp_path / "i.png", parse_mask_values(["1", "2"]))
    assert np.array_equal(read, 255 * np.isin(indices, [1, 2]))
    colors = np.array([[(0, 0, 255), (0, 255, 0), (255, 255, 255), (10, 8, 240), (0, 0, 0)]], np.uint8)  # BGR
    save(tmp_path / "c.png", colors)
    assert read_mask(tmp_path / "c.png", parse_mask_values(["255,0,0"])).tolist() == [[255, 0, 0, 255, 0]]
    with pytest.raises(InputError, match="is a color picture, no mask of indices"):
        read_mask(tmp_path / "c.png", parse_mask_values(["1"]))


@pytest.mark.parametrize("texts", [["0"], ["0,0,0"], ["1", "1,2,3"], ["x"], ["-1"], ["1,2"], ["256,0,0"], ["70000"]])
def test_values_that_are_none(texts: list[str]) -> None:
    with pytest.raises(InputError, match=f"--mask_values {texts[0]}"):
        parse_mask_values(texts)


def test_a_noisy_jpeg_without_polyp_is_empty(tmp_path: Path) -> None:
    noisy = np.random.default_rng(0).integers(0, 8, (64, 96)).astype(np.uint8)
    save(tmp_path / "m.jpg", noisy)
    assert not read_mask(tmp_path / "m.jpg").any()
    save(tmp_path / "grey.jpg", blob(1))
    assert np.array_equal(read_mask(tmp_path / "grey.jpg"), read_grey(tmp_path / "grey.jpg"))
    save(tmp_path / "color.jpg", np.dstack([0 * blob(1), 0 * blob(1), blob(1)]))
    with pytest.raises(InputError, match="is a color mask"):
        read_mask(tmp_path / "color.jpg")


def test_a_small_red_polyp_on_a_large_black_frame_is_color(tmp_path: Path) -> None:
    mask = np.zeros((1000, 1000, 3), np.uint8)
    mask[500:510, 500:510, 2] = 255
    save(tmp_path / "m.png", mask)
    with pytest.raises(InputError, match="is a color mask with 255,0,0"):
        read_mask(tmp_path / "m.png")
    mask[500:510, 500:510] = 255
    mask[0, 0] = (0, 0, 90)  # a stray pixel makes no color mask, but here it is one of a hundred and one marked ones
    save(tmp_path / "m.png", mask)
    with pytest.raises(InputError, match="is a color mask with 90,0,0"):
        read_mask(tmp_path / "m.png")


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_pixels_are_read_as_stored_whatever_a_tag_says(orientation: int, suffix: str, tmp_path: Path) -> None:
    path, picture = tmp_path / f"0{suffix}", np.dstack([blob(0)] * 3)
    extra = {"tiffinfo": {274: orientation}} if suffix == ".tif" else {"exif": tagged(orientation)}
    Image.fromarray(blob(0)).save(path, **extra)
    assert orientation_of(path) == orientation
    for read in (read_grey(path), read_mask(path), read_map(path).levels, read_rgb(path)[..., 0]):
        assert np.abs(read.astype(int) - picture[..., 0]).max() <= (60 if suffix == ".jpg" else 0)
    header = read_header(path.read_bytes())
    assert header and (header.height, header.width) == blob(0).shape


def test_threads_that_read_headers_leave_pillows_limit_and_the_warnings_as_they_were(tmp_path: Path) -> None:
    save(tmp_path / "0.bmp", blob(0))
    data, before = (tmp_path / "0.bmp").read_bytes(), (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    together = Barrier(4)

    def read(_: int) -> None:
        together.wait()
        for _ in range(50):
            assert read_header(data).kind == "BMP"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))
    assert (Image.MAX_IMAGE_PIXELS, warnings.filters) == before


@pytest.mark.parametrize("orientation", [3, 6])
def test_tagged_masks_are_compared_as_stored_and_a_lone_tag_is_refused(orientation: int, tmp_path: Path, run) -> None:
    def jpeg(path: Path, mask: np.ndarray) -> None:
        Image.fromarray(mask).save(path, quality=95, exif=tagged(orientation))

    write_case(tmp_path, jpeg, suffix=".jpg")
    status, scores, told = run()
    assert status == 0 and scores["datasets"]["gt"]["Dice@0.5"] == 1.0
    assert "6 of 6 masks carry an Exif orientation; masks and maps were compared as stored" in told
    for number in range(COUNT):
        Image.fromarray(blob(number)).save(tmp_path / "gt/images" / f"{number}.jpg")
    status, _, told = run()
    assert (
        status == 2
        and "0.jpg has no Exif orientation and" in told
        and f"has the Exif orientation {orientation}" in told
    )
    status, scores, told = run("--partial")
    assert status == 0 and "6 of 6 images carry another Exif orientation than their masks" in told


def test_a_tag_on_the_map_alone_is_refused(tmp_path: Path, run) -> None:
    write_case(tmp_path, save, maps=lambda p, m: Image.fromarray(m).save(p, exif=tagged(3)))
    status, _, told = run()
    assert status == 2 and "maps/0.png has the Exif orientation 3 and" in told and "(and 5 more like it)" in told


def test_what_is_too_large_is_refused_before_it_takes_memory(tmp_path: Path, run, monkeypatch) -> None:
    monkeypatch.setenv("MEASURE_MAX_MEGAPIXELS", "100")
    write_case(tmp_path, save)
    Image.new("L", (14000, 14000)).save(tmp_path / "gt/masks/3.png")
    status, _, told = run()
    assert status == 2 and "3.png has 14000 x 14000 pixels, 196 megapixels; the limit is 100, --max_megapixels" in told
    save(tmp_path / "gt/masks/3.png", blob(3))
    assert "0.png has 96 x 64 pixels" in run("--max_megapixels", "0.006")[2]
    for read in (read_grey, read_rgb, read_map, read_mask):
        with pytest.raises(InputError, match="the limit is 0.006"):
            read(tmp_path / "maps/0.png")
    assert run("--max_megapixels", "0.0062")[0] == 0


@pytest.mark.parametrize("values", [np.float32, np.int32])
def test_numbers_of_32_bits_are_no_levels(values: type, tmp_path: Path, run) -> None:
    write_case(tmp_path, save)
    (tmp_path / "gt/masks/3.png").unlink()
    Image.fromarray((blob(3) / 255).astype(values)).save(tmp_path / "gt/masks/3.tif")
    status, _, told = run()
    assert (
        status == 2 and "3.tif holds 32-bit numbers (TIFF), levels from 0 to 255 were expected; write it as 8" in told
    )


def test_a_jpeg_is_whole_whatever_stands_behind_its_end(tmp_path: Path) -> None:
    """Cut files are told by their own structure: the end marker of a preview inside, or what follows, is no end."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 96)).astype(np.uint8)
    preview = cv2.imencode(".jpg", picture[:16, :16])[1].tobytes()
    segment = b"\xff\xe1" + (len(preview) + 8).to_bytes(2, "big") + b"Exif\0\0" + preview
    path = tmp_path / "0.jpg"
    for flags in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]):
        plain = cv2.imencode(".jpg", picture, flags)[1].tobytes()
        with_preview = plain[:2] + segment + plain[2:]
        for whole in (plain, with_preview):
            path.write_bytes(whole + bytes(9000))
            assert read_grey(path).shape == (64, 96)
            path.write_bytes(whole[: -len(plain) // 2] + bytes(9000))
            with pytest.raises(InputError, match="the JPEG is cut off"):
                read_grey(path)


def test_other_folder_names_and_endings_are_read_with_flags_that_messages_tell(tmp_path: Path, run) -> None:
    write_case(tmp_path, save)
    for path in list((tmp_path / "gt/masks").iterdir()):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    status, _, told = run()
    assert status == 2 and "the names differ by _mask at their end; --mask_suffix _mask takes it off" in told
    assert run("--mask_suffix", "_mask")[1]["datasets"]["gt"]["Dice"] == 1.0
    (tmp_path / "gt/masks").rename(tmp_path / "gt/Ground Truth")
    status, _, told = run("--mask_suffix", "_mask")
    assert status == 2 and "name it: --masks NAME" in told and "Ground Truth" in told
    status, scores, _ = run("--mask_suffix", "_mask", "--masks", "Ground Truth")
    assert status == 0 and scores["options"]["masks"] == "Ground Truth" and scores["options"]["mask_suffix"] == "_mask"
    for flag, sentence in (
        (("--masks", "../x"), "name a folder below"),
        (("--protocol", "vps", "--masks", "x"), "vps"),
    ):
        status, _, told = run(*flag)
        assert status == 2 and sentence in told


def test_images_and_masks_in_one_folder(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.jpg", np.dstack([blob(number)] * 3))
        save(tmp_path / f"{number}_mask.png", blob(number))
    pairs = Layout(".", ".", "_mask").pair(tmp_path).pairs
    assert [(stem, image.name, mask.name) for stem, image, mask in pairs][2] == ("2", "2.jpg", "2_mask.png")
    with pytest.raises(InputError, match="no folder .*images; it holds 3 .jpg files, 3 .png files; name the folders"):
        Layout().pair(tmp_path)
    with pytest.raises(InputError, match="no image in .* whose name ends in _seg"):
        Layout(".", ".", "_seg").pair(tmp_path)


def test_maps_that_lie_elsewhere_are_found_by_the_message(tmp_path: Path, run) -> None:
    write_case(tmp_path, save)
    (tmp_path / "maps").rename(tmp_path / "deeper")
    (tmp_path / "maps").mkdir()
    (tmp_path / "deeper").rename(tmp_path / "maps/pred")
    status, _, told = run()
    assert status == 2 and "it holds the folder pred with 6 images" in told and f"give {tmp_path / 'maps/pred'}" in told
    for path in (tmp_path / "maps/pred").iterdir():
        path.unlink()
    for number in range(COUNT):
        np.save(tmp_path / "maps" / f"{number}.npy", blob(number))
    status, _, told = run()
    assert status == 2 and "6 .npy files" in told and "save them as 8-bit grey PNG" in told


def test_mask_files_say_what_they_were(tmp_path: Path) -> None:
    save(tmp_path / "m.png", blob(0) // 255)
    found = examine_mask(tmp_path / "m.png")
    assert found.zero_one and found.orientation == 1
    assert found.polyp == np.count_nonzero(blob(0)) / blob(0).size


def test_names_that_are_not_utf8_are_refused_in_one_sentence(tmp_path: Path, run) -> None:
    write_case(tmp_path, save)
    (tmp_path / "gt/masks/3.png").rename(
        tmp_path / "gt/masks" / b"\xcf\xa2\xc8\xe23.png".decode("utf-8", "surrogateescape")
    )
    status, _, told = run()
    assert status == 2 and told.count("\n") == 1 and "holds a name that is not UTF-8" in told


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ({"nsd_tolerance": 3.0}, "--nsd_tolerance 3.0 was given without --distances, which alone uses it"),
        ({"lesion_min": 20}, "--lesion_min 20 was given without --lesions"),
        (
            {"threshold": 0.3, "calibration": True},
            "--threshold 0.3 was given without --distances or --lesions or --cons",
        ),
    ],
)
def test_an_option_that_nothing_uses_is_refused(option: dict, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        Options(**option)
    assert Options(threshold=0.3, lesions=True).threshold == 0.3
