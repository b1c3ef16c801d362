"""Checking data sets: each kind of problem is found and named, with the right exit status; clean data stay clean."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from utils.commands.check import main
from utils.data.check.near_duplicates import NEAR, find_duplicates, signature_of
from utils.data.check.problems import KINDS
from utils.data.check.statistics import dark_border
from utils.data.published_sets import SUN_SEG, compare_counts
from utils.phantom import phantom_still, write_clips, write_stills


@pytest.fixture
def data(tmp_path):
    """Two sets of different images, without a fault."""
    for name, seed in (("train", 0), ("val", 1)):
        write_stills(tmp_path / name, count=5, seed=seed, size=(96, 112), look="clear")
    return tmp_path


def check(tmp_path, *flags):
    """The exit status of a check of both sets, and what it found."""
    file = tmp_path / "found.json"
    status = main([str(tmp_path / "train"), str(tmp_path / "val"), "--json", str(file), *map(str, flags)])
    return status, json.loads(file.read_text())


def only_problem(found):
    (problem,) = found["problems"]
    assert problem["kind"] in KINDS
    return problem


def test_clean_sets_are_described_and_leave_status_0(data, capsys):
    status, found = check(data)
    assert status == 0 and found["pairs"] == 10 and found["problems"] == found["duplicates"] == []
    train = found["parts"]["train"]
    assert train["images"] == 5 and train["sizes"] == {"112 x 96": 5} and train["masks_empty"] == 0
    assert train["image_kinds"] == {"JPEG, color": 5} and train["mask_kinds"] == {"PNG, grey": 5}
    masks = [cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in (data / "train" / "masks").iterdir()]
    assert train["polyp_fraction"]["mean"] == pytest.approx(np.mean([(mask > 128).mean() for mask in masks]), abs=1e-4)
    assert sum(train["polyp_sizes"].values()) == 5
    said = capsys.readouterr().out
    assert "10 pairs" in said and "no problem found" in said and "| train |     5 | 112 x 96 |" in said


def image(data, number, part="train"):
    return data / part / "images" / f"phantom_{number:04}.jpg"


def mask(data, number, part="train"):
    return data / part / "masks" / f"phantom_{number:04}.png"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_mask(path, change):
    cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))


def blacken(data):
    for number in range(1, 4):
        change_mask(mask(data, number), np.zeros_like)


FAULTS = {
    "missing mask": lambda data: mask(data, 2).unlink(),
    "missing image": lambda data: image(data, 2).unlink(),
    "unreadable": lambda data: cut(image(data, 2)),
    "size": lambda data: change_mask(mask(data, 2), lambda m: m[:, :-1]),
    "mask": lambda data: change_mask(mask(data, 2), lambda m: np.dstack([0 * m, m, m])),
    "mixed masks": lambda data: change_mask(mask(data, 2), lambda m: m // 255),
    "doubtful masks": blacken,
    "duplicate": lambda data: shutil.copy(image(data, 2), image(data, 9)) and shutil.copy(mask(data, 2), mask(data, 9)),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_is_found_and_the_others_stay_out(data, capsys, kind):
    FAULTS[kind](data)
    status, found = check(data)
    problem = only_problem(found)
    assert status == 1 and problem["kind"] == kind
    if kind != "doubtful masks":
        assert any("phantom_0002" in file for file in problem["files"])
    assert KINDS[kind] in capsys.readouterr().out


def test_masks_with_background_and_polyp_exchanged_are_told(data):
    for number in range(1, 4):
        change_mask(mask(data, number), lambda plane: 255 - plane)
    status, found = check(data)
    problem = only_problem(found)
    assert status == 1 and problem["kind"] == "doubtful masks"
    assert problem["text"].endswith("3 of 5 masks are more polyp than background; are background and polyp exchanged?")


def test_all_faults_of_a_set_are_listed_at_once(data):
    cut(image(data, 1)), cut(mask(data, 2)), mask(data, 3).unlink()
    status, found = check(data)
    assert status == 1 and sorted(p["kind"] for p in found["problems"]) == ["missing mask", "unreadable", "unreadable"]
    assert found["parts"]["train"]["images"] == 2 and found["parts"]["train"]["pairs"] == 4


def test_images_shared_by_two_parts_are_a_leak_however_they_were_saved(data, capsys):
    shown = cv2.imread(str(image(data, 3)))
    smaller = cv2.resize(shown, (90, 90), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(image(data, 7, "val")), smaller, [cv2.IMWRITE_JPEG_QUALITY, 60])
    cv2.imwrite(str(mask(data, 7, "val")), cv2.resize(cv2.imread(str(mask(data, 3)), 0), (90, 90)))
    for path in (image(data, 8, "val"), mask(data, 8, "val")):
        shutil.copy(path.parent.parent.parent / "train" / path.parent.name / path.name.replace("8", "4"), path)
    status, found = check(data, "--html", data / "found.html")
    problem = only_problem(found)
    assert (
        status == 1
        and problem["kind"] == "leak"
        and "2 images of val show the same as images of train" in problem["text"]
    )
    exact, near = found["duplicates"]
    assert exact["exact"] and exact["distance"] == 0 and exact["b"].endswith("val/images/phantom_0008.jpg")
    assert not near["exact"] and 0 < near["distance"] < 0.01 and near["a"].endswith("train/images/phantom_0003.jpg")
    page = (data / "found.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4 and "phantom_0008.jpg" in page
    assert len(check(data, "--distance", "0")[1]["duplicates"]) == 1


def test_a_group_on_both_sides_is_named(data, capsys):
    groups = data / "groups.txt"
    groups.write_text("phantom_0001,patient 7\nphantom_0002,patient 8\n")
    change = data / "val" / "images"
    (change / "phantom_0002.jpg").rename(change / "phantom_0022.jpg")
    (data / "val" / "masks" / "phantom_0002.png").rename(data / "val" / "masks" / "phantom_0022.png")
    status, found = check(data, "--groups", groups)
    problem = only_problem(found)
    assert status == 1 and problem["kind"] == "shared group" and "first: patient 7" in problem["text"]
    assert [file.rsplit("/", 1)[1] for file in problem["files"]] == ["phantom_0001.jpg"]


def test_split_files_divide_a_set(data, capsys):
    for name, numbers in (("one", (1, 2)), ("two", (3, 4))):
        (data / f"{name}.txt").write_text("".join(f"phantom_{number:04}\n" for number in numbers))
    pattern = ["--group_pattern", "phantom_"]
    splits = ["--splits", str(data / "one.txt"), str(data / "two.txt"), *pattern]
    assert main([str(data / "train"), *splits]) == 1
    said = capsys.readouterr().out
    assert "1 group" in said and "in one and in two" in said
    assert main([str(data / "train"), str(data / "val"), *splits]) == 2


def test_images_that_two_split_files_name_are_a_leak(data):
    for fold, numbers in (("a", (1, 2, 3)), ("b", (3, 4))):
        (data / fold).mkdir()
        (data / fold / "part.txt").write_text("".join(f"phantom_{number:04}\n" for number in numbers))
    files = [str(data / fold / "part.txt") for fold in "ab"]
    assert main([str(data / "train"), "--json", str(data / "c.json"), "--splits", *files]) == 1
    found = json.loads((data / "c.json").read_text())
    problem = only_problem(found)
    assert problem["kind"] == "leak" and [Path(file).name for file in problem["files"]] == ["phantom_0003.jpg"]
    assert list(found["parts"]) == files and found["pairs"] == 5, "files of one name are told apart"


def test_what_is_given_twice_is_refused(data, capsys):
    (data / "one.txt").write_text("phantom_0001\n")
    for words in (
        [str(data / "train"), str(data / "train")],
        [str(data), str(data / "train") + "/"],
        [str(data / "train"), "--splits", *[str(data / "one.txt")] * 2],
    ):
        assert main(words) == 2
        assert "would be looked at twice; give it once, or the folder above it" in capsys.readouterr().err


def test_roots_of_sets_and_splits_of_clips_are_checked(tmp_path, capsys):
    write_clips(tmp_path / "clips", split="TrainDataset", cases=2, frames=6, size=(64, 80))
    write_clips(tmp_path / "clips", split="TestEasyDataset/Seen", cases=1, frames=6, size=(64, 80))
    write_stills(tmp_path / "root" / "one", count=2, size=(64, 80))
    write_stills(tmp_path / "root" / "two", count=2, size=(64, 80))
    main([str(tmp_path / "clips"), str(tmp_path / "root"), "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert {name: part["pairs"] for name, part in found["parts"].items()} == {
        "TrainDataset": 12,
        "TestEasyDataset/Seen": 6,
        "one": 2,
        "two": 2,
    }
    assert not any("Frame" in pair["a"] and pair["parts"][0] == pair["parts"][1] for pair in found["duplicates"])
    counts = [problem["text"] for problem in found["problems"] if problem["kind"] == "count"]
    assert "TrainDataset has 2 clips, 12 frames; 112 clips, 19544 frames are published" in counts


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nowhere"], "no folder nowhere"),
        (["{data}"], "no data under {data}; expected images/ and masks/"),
        (["{data}/train", "--json", "{data}/train/images/phantom_0001.jpg"], "phantom_0001.jpg"),
        (["{data}/train", "--json", "x", "--html", "./x"], "--json and --html are both x; they need two places"),
        (["{data}/train", "--distance", "nan"], "--distance nan was given"),
        (["{data}/train", "--splits", "nowhere.txt"], "cannot read nowhere.txt"),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(data, capsys, flags, message):
    if flags == ["{data}"]:
        shutil.rmtree(data / "train"), shutil.rmtree(data / "val")
    assert main([flag.format(data=data) for flag in flags]) == 2
    said = capsys.readouterr().err
    assert message.format(data=data) in said and said.count("\n") == 1


def test_other_folder_names_are_read_by_the_flags(data, capsys):
    (data / "train" / "images").rename(data / "train" / "Original")
    (data / "train" / "masks").rename(data / "train" / "Ground Truth")
    assert main([str(data / "train")]) == 2
    assert "it holds the folder Ground Truth with 5 images" in capsys.readouterr().err
    assert main([str(data / "train"), "--images", "Original", "--masks", "Ground Truth"]) == 0


def test_a_suffix_of_the_masks_is_told_and_read(data, capsys):
    for path in list((data / "train" / "masks").iterdir()):
        path.rename(path.with_stem(f"{path.stem}_mask"))
    assert main([str(data / "train")]) == 1
    assert "--mask_suffix _mask takes it off" in capsys.readouterr().out
    assert main([str(data / "train"), "--mask_suffix", "_mask"]) == 0


def test_everything_below_a_folder_is_looked_at(data, clips, capsys):
    (data / "TestDataset").mkdir()
    (data / "val").rename(data / "TestDataset" / "Seen")
    shutil.copytree(clips(split="TestEasyDataset/Seen", cases=1, frames=6, size=(64, 64)), data / "SUN-SEG")
    main([str(data), "--json", str(data.parent / "c.json")])
    found = json.loads((data.parent / "c.json").read_text())["parts"]
    assert set(found) == {"train", "Seen", "SUN-SEG/TestEasyDataset/Seen"}


def test_published_counts_are_compared_by_name_and_by_the_names_of_files():
    kvasir = [f"cju{number:022}" for number in range(900)]
    clinic = [str(number) for number in range(1, 551)]
    whole = compare_counts({"TrainDataset": [*kvasir, *clinic], "Kvasir": ["x"] * 100, "mine": ["a"]}, {})
    assert all(count.agrees for count in whole) and len(whole) == 3
    held_out = compare_counts({"train": [*kvasir, *clinic[50:]], "val": clinic[:50]}, {})
    assert all(count.agrees for count in held_out), "what is held out counts as training"
    fewer = compare_counts({"CVC-ClinicDB": clinic[:61]}, {})
    assert [(count.found, count.published, count.agrees) for count in fewer] == [("61", "62 or 612", False)]
    clips = compare_counts(
        {"TestHardDataset/Seen": ["x"] * SUN_SEG["TestHardDataset/Seen"][1]}, {"TestHardDataset/Seen": 17}
    )
    assert [count.agrees for count in clips] == [True]


def test_the_distance_of_two_images_by_hand():
    grey = phantom_still(seed=1, size=(96, 112))[0][..., 1]
    flat = np.full((20, 20), 90, np.uint8)
    signatures = np.stack([signature_of(plane) for plane in (grey, 255 - grey, grey // 2 + 60, flat, flat)])
    assert np.linalg.norm(signatures[0]) == pytest.approx(1) and not signatures[3].any()
    found = find_duplicates(signatures, ["a", "b", "c", "d", "d"], [None] * 5)
    assert [(pair.first, pair.second, pair.exact) for pair in found] == [(3, 4, True), (0, 2, False)]
    assert found[0].distance == 0 and found[1].distance < 0.002
    assert signatures[0] @ signatures[1] == pytest.approx(-1), "1 - correlation of a negative is 2, beyond any limit"
    assert len(find_duplicates(signatures, ["a"] * 5, ["clip"] * 5, distance=NEAR)) == 0, "frames of one clip"


def test_the_dark_border_is_what_is_dark_and_touches_the_edge():
    image = np.full((20, 30, 3), 100, np.uint8)
    assert dark_border(image) == 0
    image[:, :6] = 5
    image[8:12, 15:20] = 0  # a dark spot inside
    assert dark_border(image) == pytest.approx(6 / 30)
