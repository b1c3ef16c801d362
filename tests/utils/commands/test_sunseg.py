"""SUN-SEG from its two downloads, on a small imitation of them."""

import shutil

import pytest

from measure.io.errors import InputError
from utils.commands import prepare
from utils.commands.sunseg import main
from utils.data.clip_dataset import find_cases
from utils.data.published_sets import SUN_SEG
from utils.phantom import write_clips
from utils.preparation import samples, sun_seg
from utils.preparation.sun_seg import assemble

SPLITS = {"TrainDataset": 2, "TestHardDataset/Unseen": 1}


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """The frames of each clip in SUN's two parts by case, the masks in the annotations' splits."""
    for split, cases in SPLITS.items():
        write_clips(tmp_path / "written", split=split, cases=cases, frames=6, size=(64, 64), seed=len(split))
        for case in range(1, cases + 1):
            source, name = tmp_path / "written" / split, f"case{len(split) + case}"
            part = tmp_path / "SUN" / f"part{case}" / name
            part.mkdir(parents=True)
            masks = tmp_path / "annotations" / split / "GT" / f"{name}_2"
            masks.mkdir(parents=True)
            for kind, folder in (("Frame", part), ("GT", masks)):
                for picture in (source / kind / f"case{case}").iterdir():
                    shutil.copy(picture, folder / f"{name}_{picture.name}")
    counts = {split: (SPLITS.get(split, 0), 6 * SPLITS.get(split, 0)) for split in SUN_SEG}
    monkeypatch.setattr(sun_seg, "SUN_SEG", counts)
    return {"sun": tmp_path / "SUN", "annotations": tmp_path / "annotations", "out": tmp_path / "out"}


def test_the_published_counts_are_those_of_the_paper():
    assert [sum(column) for column in zip(*SUN_SEG.values(), strict=True)] == [285, 49136]


@pytest.mark.parametrize("copy", [False, True])
def test_frames_and_masks_come_together(downloads, copy):
    assert assemble(**downloads, copy=copy) == 18
    cases = find_cases(downloads["out"] / "TrainDataset")
    assert [(case.name, len(case.frames)) for case in cases] == [("case13_2", 6), ("case14_2", 6)]
    pair = cases[0].frames[0]
    assert pair.image.is_symlink() is not copy and pair.mask.is_symlink() is not copy
    original = next((downloads["sun"] / "part1" / "case13").glob(f"{pair.stem}.jpg"))
    assert pair.image.read_bytes() == original.read_bytes()


def test_a_run_that_was_cut_short_goes_on(downloads, monkeypatch):
    made = []
    place = samples.place

    def failing(*args, **options):
        if len(made) == 7:
            raise KeyboardInterrupt
        made.append(args)
        place(*args, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(samples, "place", failing)
        assemble(**downloads)
    before = {path: path.lstat().st_mtime_ns for path in downloads["out"].rglob("*.jpg")}
    assert 0 < len(before) < 18
    assert assemble(**downloads) == 18
    assert all(path.lstat().st_mtime_ns == time for path, time in before.items()), "what is there stays"
    assert len(list(downloads["out"].rglob("*.jpg"))) == 18 == len(list(downloads["out"].rglob("*.png")))


def test_what_is_missing_is_counted_and_named_before_anything_is_written(downloads, capsys):
    lost = sorted((downloads["sun"] / "part1" / "case13").iterdir())[0]
    lost.unlink()
    shutil.rmtree(downloads["annotations"] / "TrainDataset" / "GT" / "case14_2")
    flags = [f"--{name}={folder}" for name, folder in downloads.items()]
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert f"1 of 12 masks has no frame of their own in SUN, first case13_2/{lost.stem}" in error
    assert "TrainDataset has 1 clip with 6 masks instead of 2 with 12" in error and "--partial" in error
    assert not downloads["out"].exists()
    assert main([*flags, "--partial"]) == 0
    captured = capsys.readouterr()
    assert "11 frames with masks in" in captured.out and captured.err.count("note: ") == 2
    assert len(list(downloads["out"].rglob("*.jpg"))) == 11 == len(list(downloads["out"].rglob("*.png")))


def test_frames_of_one_name_in_several_cases_are_told_apart_by_the_case(downloads):
    twin = next((downloads["sun"] / "part1" / "case13").iterdir())
    (downloads["sun"] / "part2" / "case14" / twin.name).write_bytes(b"another frame of this name")
    assemble(**downloads)
    placed = downloads["out"] / "TrainDataset" / "Frame" / "case13_2" / twin.name
    assert placed.resolve() == twin.resolve()


def test_folders_of_another_kind_are_refused(downloads, tmp_path):
    with pytest.raises(InputError, match="there is no folder .*nowhere"):
        assemble(**{**downloads, "sun": tmp_path / "nowhere"})
    with pytest.raises(InputError, match="no JPEG under"):
        assemble(**{**downloads, "sun": downloads["annotations"]})
    with pytest.raises(InputError, match="no mask under .*SUN; expected"):
        assemble(**{**downloads, "annotations": downloads["sun"]})
    for place in (downloads["sun"] / "new", downloads["annotations"]):
        with pytest.raises(InputError, match="choose another place for the output"):
            assemble(**{**downloads, "out": place})


def test_prepare_lays_out_the_same_files(downloads, tmp_path, capsys):
    assert assemble(**downloads, copy=True) == 18
    words = ["sun-seg", "--from", str(downloads["sun"]), str(downloads["annotations"]), "--to", str(tmp_path / "data")]
    assert prepare.main([*words, "--no-check"]) == 2
    assert "18 images with masks were found, 49136 are published" in capsys.readouterr().err
    assert prepare.main([*words, "--no-check", "--partial"]) == 0

    def contents(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*g") if path.is_file()}

    assert contents(tmp_path / "data" / "SUN-SEG") == contents(downloads["out"])
