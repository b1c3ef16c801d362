"""The picture of samples: what it shows, and places it refuses before the work."""

import cv2
import numpy as np
import pytest

from utils.commands import split
from utils.commands.montage import main
from utils.visualization import draw_montage


def draw(stills, out, *flags):
    data = stills(count=6, seed=0, size=(64, 80))
    return main(["--data", str(data), "--maps", str(data / "masks"), "--out", str(out), *flags])


def test_a_row_for_each_sample(stills, tmp_path, capsys):
    assert draw(stills, tmp_path / "two.png", "--count", "2") == 0
    assert draw(stills, tmp_path / "four.png", "--count", "4") == 0
    two, four = (cv2.imread(str(tmp_path / name)) for name in ("two.png", "four.png"))
    assert four.shape[0] > 1.8 * two.shape[0] and four.shape[1] == two.shape[1]
    assert f"picture: {tmp_path}/four.png" in capsys.readouterr().out


def test_captions_stand_above_their_rows():
    sample = tuple(np.zeros(shape, np.uint8) for shape in ((40, 50, 3), (40, 50), (40, 50)))
    plain, named = draw_montage([sample] * 2), draw_montage([sample] * 2, captions=["first  Dice 0.912", "second"])
    line = (named.shape[0] - plain.shape[0]) // 2
    assert named.shape[1] == plain.shape[1] and line > 10
    assert np.array_equal(named[:line], plain[:line]), "the titles"
    above_first = named[line : 2 * line]
    assert above_first.max() == 255 and above_first.min() < 100
    assert np.array_equal(named[2 * line : 2 * line + 176], plain[line : line + 176])


@pytest.mark.parametrize(
    ("out", "flags", "sentence"),
    [
        ("x.gif", [], "x.gif names no kind of picture; expected a name that ends in .png or .jpg or .jpeg"),
        ("x.png", ["--count", "0"], "--count 0 was given; it must be at least 1"),
        ("x.png", ["--maps", ""], "--maps: an empty text was given"),
        ("x.png", ["--maps", "nowhere"], "no folder nowhere"),
    ],
)
def test_mistakes(stills, tmp_path, capsys, out, flags, sentence):
    assert draw(stills, tmp_path / out, *flags) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_maps_are_no_place_for_the_picture(stills, capsys):
    data = stills(count=6, seed=0, size=(64, 80))
    assert draw(stills, data / "masks" / "phantom_0001.png") == 2
    assert "lies in the input" in capsys.readouterr().err


def test_other_folders_are_named_by_flags(stills, tmp_path):
    data = tmp_path / "set"
    for kind, new, suffix in (("images", "Original", ""), ("masks", "Ground Truth", "_mask")):
        (data / new).mkdir(parents=True)
        for path in (stills(count=6, seed=0, size=(64, 80)) / kind).iterdir():
            (data / new / f"{path.stem}{suffix}{path.suffix}").symlink_to(path)
    flags = ["--images", "Original", "--masks", "Ground Truth", "--mask_suffix", "_mask"]
    maps = str(stills(count=6, seed=0, size=(64, 80)) / "masks")
    assert main(["--data", str(data), "--maps", maps, "--out", str(tmp_path / "x.png"), *flags]) == 0
    assert split.main(["--data", str(data), "--out", str(tmp_path / "parts"), "train=4", "test=rest", *flags]) == 0
    assert len((tmp_path / "parts" / "train.txt").read_text().split()) == 4
