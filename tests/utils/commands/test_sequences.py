"""Numbered stills as clips: which frames belong together, links and copies, and what is refused."""

import cv2
import numpy as np
import pytest

from utils.commands.sequences import main
from utils.data.clip_dataset import find_cases


@pytest.fixture
def stills(tmp_path):
    """Frames 1 to 12 without the 3, and an image of another origin; every picture has a grey level of its own."""
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for level, name in enumerate([*(str(n) for n in range(1, 13) if n != 3), "cju0"]):
        picture = np.full((8, 8), 10 * level, np.uint8)
        cv2.imwrite(str(tmp_path / "data" / "images" / f"{name}.JPG"), picture)
        cv2.imwrite(str(tmp_path / "data" / "masks" / f"{name}.png"), picture)
    return tmp_path


def lay_out(stills, lines, *flags):
    (stills / "clips.txt").write_text(lines)
    given = ("--data", stills / "data", "--groups", stills / "clips.txt", "--out", stills / "out", *flags)
    return main([str(flag) for flag in given])


@pytest.mark.parametrize("flags", [(), ("--copy",)])
def test_ranges_become_clips_in_the_order_of_the_numbers(stills, capsys, flags):
    assert lay_out(stills, "1 4\n# a comment\n9 12\n", *flags) == 0
    assert "2 clips of 7 frames" in capsys.readouterr().out
    cases = find_cases(stills / "out")
    assert [case.name for case in cases] == ["1-4", "9-12"]
    assert [pair.stem for pair in cases[0].frames] == ["1", "2", "4"]
    assert [pair.stem for pair in cases[1].frames] == ["9", "10", "11", "12"]
    frame = cases[1].frames[1]
    assert frame.image.is_symlink() is frame.mask.is_symlink() is not flags
    assert frame.image.name == "10.jpg"
    assert frame.image.read_bytes() == (stills / "data" / "images" / "10.JPG").read_bytes()
    assert frame.mask.read_bytes() == (stills / "data" / "masks" / "10.png").read_bytes()


def test_a_second_run_leaves_what_is_there(stills):
    assert lay_out(stills, "1 4\n") == 0
    before = {path: path.lstat().st_mtime_ns for path in stills.glob("out/*/1-4/*")}
    assert lay_out(stills, "1 4\n9 12\n") == 0
    assert len(before) == 6 and all(path.lstat().st_mtime_ns == time for path, time in before.items())
    assert len(list(stills.glob("out/Frame/*/*"))) == 7


@pytest.mark.parametrize("lines", ["1,a\n2,a\n", "9,b\n"])
def test_frames_of_other_sequences_are_refused(stills, capsys, lines):
    """A shorter clip would keep its old frames, and a clip that is gone would be trained on."""
    assert lay_out(stills, "1,a\n2,a\n4,a\n") == 0
    before = sorted(stills.glob("out/*/*/*"))
    assert lay_out(stills, lines) == 2
    assert "out holds" in (told := capsys.readouterr().err) and "no part of the set" in told
    assert sorted(stills.glob("out/*/*/*")) == before


def test_names_can_be_given_sequences(stills):
    assert lay_out(stills, "cju0,patient 7\n2.jpg,patient 7\n") == 0
    assert [(case.name, len(case.frames)) for case in find_cases(stills / "out")] == [("patient 7", 2)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("100 200\n", "speaks of no image of"),
        ("cju0,../elsewhere\n", "'../elsewhere' cannot name a folder"),
        ("1 to 4\n", "'1 to 4' is neither `name,group` nor `first last`"),
    ],
)
def test_mistakes_end_in_one_line(stills, capsys, lines, message):
    assert lay_out(stills, lines) == 2
    assert message in capsys.readouterr().err
    assert not (stills / "out").exists()


def test_the_stills_themselves_are_no_place_for_clips(stills, capsys):
    (stills / "clips.txt").write_text("1 4\n")
    images = stills / "data" / "images"
    assert main(["--data", str(stills / "data"), "--groups", str(stills / "clips.txt"), "--out", str(images)]) == 2
    assert "lies in the input" in capsys.readouterr().err
    assert not (images / "Frame").exists()


def test_what_a_killed_run_left_half_written_goes(stills):
    assert lay_out(stills, "1 4\n") == 0
    half = stills / "out" / "Frame" / "1-4" / ".2.999999999.partial.jpg"
    half.write_bytes(b"half")
    assert lay_out(stills, "1 4\n") == 0
    assert not half.exists()
