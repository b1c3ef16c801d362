"""Images wherever they lie, in whatever form, and what is told of those that cannot be read."""

import csv
import json
import os

import cv2
import numpy as np
import pytest
from PIL import Image

import myTest
from measure.io import InputError, Layout
from tests.helpers.weights import untrained
from utils.phantom import phantom_still, write_stills
from utils.prediction.inputs import content_box, find_images, is_moving
from utils.prediction.inputs.cropping import Placement


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def found(words, root, **layout):
    images = find_images([str(word) for word in words], Layout(**layout))
    named = ((f"{folder}/{stem}", path) for folder, inside in images.by_folder.items() for stem, path in inside.items())
    return {name: str(path.relative_to(root)) for name, path in named}


def test_a_tree_keeps_its_folders_and_leaves_masks_and_hidden_files_out(tmp_path):
    touch(*(tmp_path / name for name in ("a2.png", "a10.JPG", ".hidden.png", "notes.txt", "deep/er/b.tif")))
    touch(*(tmp_path / "Set" / part / "c.png" for part in ("images", "masks")))
    assert found([tmp_path], tmp_path) == {
        "Set/c": "Set/images/c.png",
        "/a2": "a2.png",
        "/a10": "a10.JPG",
        "deep/er/b": "deep/er/b.tif",
    }
    assert find_images([str(tmp_path)]).passed_over == {".txt": 1}
    touch(tmp_path / "deep" / "er" / "b_mask.tif")
    assert "deep/er/b_mask" not in found([tmp_path], tmp_path, mask_suffix="_mask")


def test_files_patterns_and_lists_are_named_by_what_varies(tmp_path):
    touch(*(tmp_path / name for name in ("x/a.png", "x/b.png", "y/a.png", "[1].png")))
    assert found([tmp_path / "x" / "b.png"], tmp_path) == {"/b": "x/b.png"}
    assert found([tmp_path / "*" / "a.png"], tmp_path) == {"x/a": "x/a.png", "y/a": "y/a.png"}
    assert found([tmp_path / "**" / "b.png"], tmp_path) == {"x/b": "x/b.png"}
    assert found([tmp_path / "[1].png"], tmp_path) == {"/[1]": "[1].png"}, "a file of that name is no pattern"
    (tmp_path / "list.txt").write_text(f"# mine\nx/a.png\n\n{tmp_path}/y/a.png\n", encoding="utf-8-sig")
    with pytest.raises(InputError, match="x/a.png and .*y/a.png would both be written as a") as refused:
        find_images([str(tmp_path / "x" / "a.png"), str(tmp_path / "y" / "a.png")])
    assert "give the folder above both" in str(refused.value)
    assert found([tmp_path / "list.txt"], tmp_path) == {"x/a": "x/a.png", "/a": "y/a.png"}
    assert found([tmp_path / "x", tmp_path / "x" / "a.png"], tmp_path) == {"/a": "x/a.png", "/b": "x/b.png"}


def test_names_of_any_script_and_composed_alike(tmp_path):
    touch(tmp_path / "e\u0301 ポリープ.png", tmp_path / "полип" / "息肉.jpg")
    assert list(found([tmp_path], tmp_path)) == ["/\u00e9 ポリープ", "полип/息肉"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.png"], "there is no .*nowhere.png; .* is there; give images, folders, patterns in quotes or a list"),
        (["none/nowhere.png"], "there is no .*nowhere.png, nor .*none"),
        (["*.bmp"], r"\*.bmp matches nothing"),
        (["*.heic"], r"\*.heic matches 1 file or folder that is no image"),
        (["phone.heic"], "phone.heic is no image that is read here .*: it is a phone's HEIC; save it as PNG or JPEG"),
        (["a.gif"], "a.gif is no image .*: it is GIF, which may be animated"),
        (["a.mp4"], "a.mp4 is no image .*: videos are given alone, one at a time"),
        (["empty"], "no image in .*empty .* are read"),
        (["others"], "no image in .*others .*; there are only 1 .heic"),
        (["list.txt"], "1 of 2 images in the list .*list.txt is not there, first: gone.png; lines are paths from"),
        (["latin.txt"], "cannot read the list .*latin.txt"),
        (["twice"], "a.jpg and .*a.png would both be written as a"),
    ],
)
def test_what_is_no_image_is_told_apart(tmp_path, words, message):
    names = ("phone.heic", "a.gif", "a.mp4", "others/x.heic", "twice/a.jpg", "twice/a.png", "b.png")
    touch(*(tmp_path / name for name in names))
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("b.png\ngone.png\n")
    (tmp_path / "latin.txt").write_bytes("polyp\u00e9.png".encode("latin-1"))
    with pytest.raises(InputError, match=message):
        find_images([str(tmp_path / word) for word in words])


def test_what_can_only_be_moving(tmp_path):
    touch(tmp_path / "a.png")
    assert is_moving(["clip.mp4"]) and is_moving(["0"]) and is_moving(["rtsp://camera"])
    assert not is_moving(["no-such-folder"])
    stills = (["a.png"], [str(tmp_path)], ["x/*.png"], ["list.txt"], ["a.heic"], ["a.mp4", "b.mp4"])
    assert not any(is_moving(words) for words in stills)


def test_a_border_is_cut_off_and_its_text_with_it():
    image = np.full((300, 400, 3), 4, np.uint8)
    image[40:260, 120:390] = 120
    cv2.putText(image, "Name: none", (5, 100), cv2.FONT_HERSHEY_PLAIN, 1.0, (255, 255, 255), 1)
    top, left, height, width = content_box(image)
    assert abs(top - 40) <= 3 and abs(left - 120) <= 3 and abs(height - 220) <= 5 and abs(width - 270) <= 5
    assert content_box(image[60:240, 140:380]) == (0, 0, 180, 240), "no border"
    for dark in (np.zeros((30, 40, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8)):
        assert content_box(dark) == (0, 0, *dark.shape[:2])
    spot = np.zeros((300, 400, 3), np.uint8)
    spot[100:160, 100:160] = 200
    assert content_box(spot) == (0, 0, 300, 400), "a small bright part is a dark scene"


def test_a_part_is_pasted_where_it_was_seen():
    import torch

    placement = Placement(4, 6, (1, 2, 2, 3))
    pasted = placement.paste(torch.ones(1, 2, 3))
    expected = np.zeros((4, 6))
    expected[1:3, 2:5] = 1
    assert np.array_equal(pasted[0].numpy(), expected)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return untrained("sepnet", tmp_path_factory.mktemp("weights") / "w.pth", size=64)


def predict(weights, *flags):
    words = ["--model_state_dict_path", weights, "--device", "cpu", "--workers", "0", *flags]
    return myTest.main([str(word) for word in words])


@pytest.mark.slow
def test_a_map_of_an_image_that_can_no_longer_be_read_is_told(weights, tmp_path, capsys):
    images, maps = tmp_path / "in", tmp_path / "maps"
    images.mkdir()
    for name in ("a", "b"):
        Image.fromarray(phantom_still(seed=1, size=(64, 70))[0]).save(images / f"{name}.png")
    assert predict(weights, "--input", images, "--pred_save_path", maps) == 0
    (images / "b.png").write_bytes(b"")
    assert predict(weights, "--input", images, "--pred_save_path", maps) == 1
    assert f"; {maps / 'b.png'} is of an earlier run\n" in capsys.readouterr().err


@pytest.mark.slow
def test_images_of_every_kind_are_read_or_told(weights, tmp_path, capsys):
    rgb = phantom_still(seed=1, size=(64, 70))[0]
    picture, folder = Image.fromarray(rgb), tmp_path / "in"
    folder.mkdir()
    picture.convert("L").save(folder / "grey.png")
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("P").save(folder / "palette.png")
    picture.convert("RGBA").save(folder / "alpha.png")
    picture.convert("1").save(folder / "onebit.png")
    cv2.imwrite(str(folder / "sixteen.png"), rgb.astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "sixteen.tif"), rgb.astype(np.uint16)[:, :, 0] * 257) and os.rename(
        folder / "sixteen.tif", folder / "sixteen_tif.tif"
    )
    picture.save(folder / "pages.tif", save_all=True, append_images=[picture])
    picture.resize((1, 1)).save(folder / "one.png")
    picture.resize((3000, 2)).save(folder / "long.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("none")
    (folder / "cut.jpg").write_bytes((folder / "cmyk.jpg").read_bytes()[:-300])
    (folder / "phone.heic").write_bytes(b"none")
    table = tmp_path / "t.csv"
    assert predict(weights, "--input", folder, "--pred_save_path", tmp_path / "maps", "--table", table) == 1
    told = capsys.readouterr().err
    assert "Traceback" not in told and told.count("note: skipped: cannot read") == 3
    assert "note: passed over 1 .heic: files of kinds that are no images here" in told
    assert "error: 3 of 13 images could not be read and were left out: " in told and "predict.json says why" in told
    read = {"grey", "cmyk", "palette", "alpha", "onebit", "sixteen", "sixteen_tif", "pages", "one", "long"}
    assert {path.stem for path in (tmp_path / "maps").glob("*.png")} == read
    assert cv2.imread(str(tmp_path / "maps" / "long.png"), -1).shape == (2, 3000)
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == 10 and {row["image"] for row in rows} >= {"grey.png", "cmyk.jpg", "one.png"}
    record = json.loads((tmp_path / "maps" / "predict.json").read_text())
    assert {os.path.basename(name) for name in record["skipped"]} == {"empty.png", "text.jpg", "cut.jpg"}
    assert record["images"] == {".": 10}, "what was written; the skipped ones are told apart"


@pytest.mark.slow
def test_what_vanishes_while_it_is_read_is_left_out(weights, tmp_path, capsys, monkeypatch):
    from utils.prediction import images as module

    write_stills(tmp_path / "set", count=3, seed=0, size=(64, 70))
    folder, read = tmp_path / "set" / "images", module.read_rgb

    def vanishing(path):
        if path.name.startswith("phantom_0002"):
            path.unlink()
        return read(path)

    monkeypatch.setattr(module, "read_rgb", vanishing)
    assert predict(weights, "--input", folder, "--pred_save_path", tmp_path / "maps") == 1
    assert "(No such file or directory)" in capsys.readouterr().err
    assert len(list((tmp_path / "maps").glob("*.png"))) == 2


@pytest.mark.slow
def test_results_never_land_in_what_is_read(weights, tmp_path, capsys):
    write_stills(tmp_path / "set", count=1, seed=0, size=(64, 70))
    folder = tmp_path / "set" / "images"
    image = next(folder.iterdir())
    png = tmp_path / "a.png"
    Image.open(image).save(png)
    before = sorted(tmp_path.rglob("*"))
    for words in (
        ["--input", folder, "--masks", folder / "masks"],
        ["--input", folder, "--table", folder / "t.csv", "--masks", tmp_path / "m"],
        ["--input", png, "--pred_save_path", tmp_path],
        ["--input", png, image, "--overlay", tmp_path],
    ):
        assert predict(weights, *words) == 2, words
        assert "choose another place for the output" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
