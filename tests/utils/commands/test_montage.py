"""The picture of samples: what it shows, and places it refuses before the work."""

import cv2
import numpy as np
import pytest

from measure.io import InputError
from utils.commands import split
from utils.commands.montage import main, write_picture
from utils.phantom import write_stills
from utils.visualization import draw_comparison, draw_montage


def draw(stills, out, *flags):
    data = stills(count=6, seed=0, size=(64, 80))
    return main(["--data", str(data), "--maps", str(data / "masks"), "--out", str(out), *flags])


def test_a_row_for_each_sample(stills, tmp_path, capsys):
    assert draw(stills, tmp_path / "two.png", "--count", "2") == 0
    assert draw(stills, tmp_path / "four.png", "--count", "4") == 0
    two, four = (cv2.imread(str(tmp_path / name)) for name in ("two.png", "four.png"))
    assert four.shape[0] > 1.8 * two.shape[0] and four.shape[1] == two.shape[1]
    assert f"picture: {tmp_path}/four.png" in capsys.readouterr().out


def test_an_image_of_one_column_is_drawn():
    image, plane = np.zeros((1000, 1, 3), np.uint8), np.zeros((1000, 1), np.uint8)
    assert draw_montage([(image, plane, plane)]).shape[1] == 4 + 3 * 6  # panels and the gaps between them
    assert draw_comparison([(image, plane, [plane])], ["ours"]).shape[1] == 3 + 2 * 6


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


def test_maps_of_another_size_are_refused(stills, tmp_path, capsys):
    data = stills(count=6, seed=0, size=(64, 80))
    (tmp_path / "maps").mkdir()
    cv2.imwrite(str(tmp_path / "maps" / "phantom_0001.png"), np.zeros((64, 64), np.uint8))
    words = ["--data", str(data), "--maps", str(tmp_path / "maps"), "--out", str(tmp_path / "x.png")]
    for names in ([], ["--names", "ours"]):
        assert main([*words, *names]) == 2
        assert "phantom_0001.png has another size than" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_methods_of_one_name_are_refused(stills, tmp_path, capsys):
    data = stills(count=6, seed=0, size=(64, 80))
    words = ["--data", str(data), "--maps", str(data / "masks"), f"{data / 'masks'}/", "--out", str(tmp_path / "x.png")]
    assert main(words) == 2
    assert "two methods are called masks; tell them apart with --names" in capsys.readouterr().err
    assert main([*words, "--names", "a", "a"]) == 2
    assert main([*words, "--names", "a", "b"]) == 0


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.JPEG", "x.pdf"])
def test_a_picture_that_does_not_fit_on_the_disk_is_told(tmp_path, name, small_files):
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
    with pytest.raises(InputError, match=rf"cannot write .*{name} \(File too large\); free some space"):
        write_picture(noise, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".jpg", ".pdf"])
def test_a_picture_that_is_too_long_for_its_kind_is_told(tmp_path, suffix):
    with pytest.raises(
        InputError, match=f"the picture has 3 x 65501 pixels, and {suffix} takes at most 65500 on a side"
    ):
        write_picture(np.zeros((65501, 3, 3), np.uint8), tmp_path / f"x{suffix}")
    assert not list(tmp_path.iterdir())
    write_picture(np.zeros((65501, 3, 3), np.uint8), tmp_path / "x.png")
    write_picture(np.zeros((65500, 3, 3), np.uint8), tmp_path / f"x{suffix}")
    assert cv2.imread(str(tmp_path / "x.png")).shape == (65501, 3, 3)


def test_a_long_title_ends_with_its_column():
    sample = (np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8), [np.zeros((40, 40), np.uint8)] * 2)
    short, long = (draw_comparison([sample], [name, "b"])[:20] for name in ("a", "a" * 90))
    assert (short[:, 364:540] != long[:, 364:540]).any(), "the third column's title"
    assert np.array_equal(short[:, 540:], long[:, 540:])


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


def test_methods_are_compared_by_what_they_get_right_and_wrong(tmp_path, capsys):
    write_stills(tmp_path / "set", count=2, seed=0, size=(64, 80))
    for method, change in (("all", lambda m: np.full_like(m, 255)), ("none", np.zeros_like)):
        (tmp_path / method).mkdir()
        for path in (tmp_path / "set" / "masks").iterdir():
            cv2.imwrite(str(tmp_path / method / path.name), change(cv2.imread(str(path), 0)))
    words = ["--data", tmp_path / "set", "--maps", tmp_path / "all", tmp_path / "none", "--names", "eager", "blind"]
    for suffix in ("png", "pdf"):
        assert main([str(word) for word in [*words, "--out", tmp_path / f"figure.{suffix}"]]) == 0
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    figure = cv2.imread(str(tmp_path / "figure.png"))[..., ::-1].astype(int)
    side = (figure.shape[1] - 3 * 6) // 4
    columns = [figure[26 : 26 + 176, n * (side + 6) : n * (side + 6) + side] for n in range(4)]
    green, orange, blue = np.array([0, 158, 115]), np.array([213, 94, 0]), np.array([86, 180, 233])

    def share(panel, color):
        """Of the pixels that lie between the image's own color and this one."""
        return (np.abs(panel - (0.6 * color + 0.4 * columns[0])).max(axis=2) < 12).mean()

    polyp = share(columns[1], green)
    assert 0 < polyp < 1 and share(columns[2], green) == pytest.approx(polyp, abs=0.02)
    assert share(columns[2], orange) == pytest.approx(1 - polyp, abs=0.05)
    assert share(columns[3], blue) == pytest.approx(polyp, abs=0.02) and share(columns[3], orange) < 0.02
    assert main([str(word) for word in [*words[:-1], "--out", tmp_path / "x.png"]]) == 2
    assert "1 name in --names for 2 folders in --maps; give one for each" in capsys.readouterr().err
