"""Phantoms: pure functions of their seeds, masks that fit the pictures, files in both layouts."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from measure.io import InputError, locked_folder
from tests.helpers.processes import in_a_process
from utils.commands.phantom import main
from utils.phantom import LOOKS, phantom_clip, phantom_still, write_clips, write_stills
from utils.phantom.files import member_seed
from utils.phantom.scene import Outline

SMALL = (96, 112)


def still_masks(count: int, **options) -> list[np.ndarray]:
    return [phantom_still(seed=seed, size=SMALL, **options)[1] for seed in range(count)]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def edge_on_border(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean strength of the image's edges along the mask's border, the frame's dark border left out."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1).astype(np.float32)
    edges = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)).max(axis=2)
    border = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    seen = cv2.erode((image.max(axis=2) > 20).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return float(edges[border & seen].mean())


def sharpness(image: np.ndarray) -> float:
    """Mean strength of the fine detail inside the frame's border, the sensor's noise smoothed away."""
    inner = cv2.GaussianBlur(image[20:-20, 30:-30], (0, 0), 1).astype(np.float32)
    return float(np.abs(cv2.Laplacian(inner, cv2.CV_32F)).mean())


def test_same_seed_gives_the_same_bytes_and_another_seed_another_picture():
    first, again, other = (phantom_still(seed=seed, size=SMALL) for seed in (5, 5, 6))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert np.abs(first[0].astype(int) - other[0]).mean() > 5


def test_global_random_state_is_neither_read_nor_changed():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    image = phantom_still(seed=3, size=SMALL)[0]
    assert np.array_equal(before, np.random.get_state()[1])
    np.random.seed(2)
    assert np.array_equal(image, phantom_still(seed=3, size=SMALL)[0])


@pytest.mark.parametrize("size", [(288, 352), (101, 97), (64, 200)])
def test_shapes_types_and_mask_levels(size):
    image, mask = phantom_still(seed=1, size=size, polyps=1)
    assert image.shape == (*size, 3) and image.dtype == np.uint8
    assert mask.shape == size and mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}


def test_picture_looks_like_mucosa():
    image = np.concatenate([phantom_still(seed=seed, size=SMALL)[0].reshape(-1, 3) for seed in range(20)])
    red, green, blue = image[image.max(axis=1) > 20].mean(axis=0)
    assert 120 < red < 190 and red > 1.3 * green > 1.3 * blue


@pytest.mark.parametrize("look", LOOKS)
def test_share_of_the_frame_stays_near_the_looks_range(look):
    low, high = LOOKS[look].area_fraction
    shares = [(mask > 0).mean() for mask in still_masks(80, look=look, polyps=1)]
    assert 0.6 * low < min(shares) and max(shares) < 1.35 * high  # parts out of view; a stalk comes on top
    assert max(shares) > 4 * min(shares)


@pytest.mark.slow
def test_images_without_polyp_come_at_the_stated_rate():
    for look, expected in LOOKS.items():
        empty = sum(not mask.any() for mask in still_masks(150, look=look))
        spread = 3.5 * np.sqrt(150 * expected.no_polyp_probability * (1 - expected.no_polyp_probability))
        assert abs(empty - 150 * expected.no_polyp_probability) <= spread


def test_number_of_polyps_is_as_asked():
    assert not any(mask.any() for mask in still_masks(10, polyps=0))
    two = [cv2.connectedComponents(mask)[0] - 1 for mask in still_masks(40, polyps=2)]
    assert np.mean(np.array(two) == 2) > 0.75  # a stalk or the frame's border may join, hide or cut one


def test_mask_border_is_where_the_picture_changes():
    on, off = [], []
    for seed in range(40):
        image, mask = phantom_still(seed=seed, size=SMALL, polyps=1, look="clear")
        on.append(edge_on_border(image, mask))
        off.append(edge_on_border(image, np.roll(mask, (12, 12), axis=(0, 1))))
    assert np.median(on) > 1.5 * np.median(off)
    assert np.mean(np.array(on) > np.array(off)) > 0.9


def test_hard_look_has_a_fainter_border_than_clear():
    edges = {}
    for look in ("clear", "hard"):
        stills = (phantom_still(seed=seed, size=SMALL, polyps=1, look=look) for seed in range(60))
        edges[look] = np.mean([edge_on_border(image, mask) for image, mask in stills])
    assert edges["hard"] < 0.95 * edges["clear"]


def test_outline_relative_radius_is_one_on_the_ellipse():
    outline = Outline(center=(0.5, -0.25), radius=0.3, aspect=4.0, angle=np.pi / 2)
    x, y = np.array([0.5, 0.65, 0.5], np.float32), np.array([0.35, -0.25, 0.05], np.float32)
    assert outline.relative_radius(x, y) == pytest.approx([1.0, 1.0, 0.5], abs=1e-5)  # half axes 0.6 (along y) and 0.15


def test_write_stills_pairs_by_stem_and_keeps_masks_exact(tmp_path):
    write_stills(tmp_path / "set", count=3, size=SMALL)
    stems = ["phantom_0001", "phantom_0002", "phantom_0003"]
    assert files(tmp_path) == [f"set/images/{s}.jpg" for s in stems] + [f"set/masks/{s}.png" for s in stems]
    seed = member_seed(seed=0, set_name="set", index=1)
    image, mask = phantom_still(seed=seed, size=SMALL)
    assert np.array_equal(cv2.imread(str(tmp_path / "set/masks/phantom_0002.png"), cv2.IMREAD_UNCHANGED), mask)
    saved = cv2.imread(str(tmp_path / "set/images/phantom_0002.jpg"))[..., ::-1]
    assert np.abs(saved.astype(int) - image).mean() < 4  # JPEG


def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path, small_files):
    with pytest.raises(InputError, match=r"cannot write .*/phantom_0001.jpg \(File too large\); free some space"):
        write_stills(tmp_path, count=1, seed=0, size=(1000, 1200))
    assert not list(tmp_path.rglob("*phantom_0001.jpg"))


def test_a_longer_set_begins_like_a_shorter_one_and_sets_never_share(tmp_path):
    for folder, count, name in (("a", 2, "train"), ("b", 4, "train"), ("c", 4, "test"), ("d", 4, None)):
        write_stills(tmp_path / folder, count=count, size=SMALL, set_name=name)
    content = {path: (tmp_path / path).read_bytes() for path in files(tmp_path) if "images" in path}
    assert content["a/images/phantom_0002.jpg"] == content["b/images/phantom_0002.jpg"]
    rest = [data for path, data in content.items() if not path.startswith("a/")]
    assert len(set(rest)) == 12
    seeds = [member_seed(seed=s, set_name=n, index=i) for s in (0, 1) for n in ("train", "test") for i in range(500)]
    assert len(set(seeds)) == 2000


def test_a_folder_with_other_files_is_refused_untouched(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "mine.png").write_bytes(b"x")
    with pytest.raises(InputError, match="holds 1 other file, first mine.png; choose another folder, or move"):
        write_stills(tmp_path, count=2, size=SMALL)
    assert files(tmp_path) == ["masks/mine.png"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seed": 0, "look": "soft"}, "unknown look 'soft'; the looks are mixed, clear, busy, hard"),
        ({"seed": 0, "size": (40, 300)}, "40 x 300 pixels; give at least 64"),
        ({"seed": 0, "polyps": -1}, "number of polyps is -1; give 0 or more"),
        ({"seed": -1}, "seed is -1; give 0 or more"),
    ],
)
def test_illegal_options_of_a_still(options, sentence):
    with pytest.raises(InputError, match=sentence):
        phantom_still(**options)


def test_clip_is_a_pure_function_of_its_seed():
    first, again, other = (phantom_clip(seed=seed, frames=6, size=SMALL) for seed in (1, 1, 2))
    assert first[0].shape == (6, *SMALL, 3) and first[1].shape == (6, *SMALL)
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("frames", [6, 7, 24])
def test_polyp_goes_out_of_view_and_comes_back(frames):
    for seed in range(4):
        seen = phantom_clip(seed=seed, frames=frames, size=SMALL)[1].any(axis=(1, 2))
        assert seen[0] and seen[-1] and not seen.all()


def test_mask_moves_with_the_picture():
    ways, kept, left = [], [], []
    for seed in range(12):
        images, masks = phantom_clip(seed=seed, frames=24, size=SMALL, bursts=0, look="clear")
        centers = [np.argwhere(masks[t]).mean(axis=0) for t in (0, 23)]
        ways.append(np.linalg.norm(centers[1] - centers[0]))
        kept.append(edge_on_border(images[23], masks[23]))
        left.append(edge_on_border(images[23], masks[0]))
    assert max(ways) > 10
    assert np.median(kept) > 1.3 * np.median(left)


def test_bursts_spoil_only_their_frames_and_no_mask():
    for seed in range(6):
        calm, masks = phantom_clip(seed=seed, frames=24, size=SMALL, bursts=0)
        burst, same_masks = phantom_clip(seed=seed, frames=24, size=SMALL, bursts=2)
        assert np.array_equal(masks, same_masks)
        spoiled = [t for t in range(24) if not np.array_equal(calm[t], burst[t])]
        assert len(spoiled) == 6
        for t in spoiled:
            blurred = sharpness(burst[t]) < 0.9 * sharpness(calm[t])
            flooded = burst[t].mean() > 1.2 * calm[t].mean()
            assert blurred or flooded


def test_a_severe_burst_leaves_less_of_the_picture():
    for seed in range(4):
        calm, mild, severe = (
            phantom_clip(seed=seed, frames=24, size=SMALL, bursts=bursts, severity=severity)[0]
            for bursts, severity in ((0, 1), (4, 1), (4, 4))
        )
        spoiled = [t for t in range(24) if not np.array_equal(calm[t], mild[t])]
        assert spoiled == [t for t in range(24) if not np.array_equal(calm[t], severe[t])]
        assert np.mean([sharpness(severe[t]) for t in spoiled]) < np.mean([sharpness(mild[t]) for t in spoiled])


def test_a_steady_camera_keeps_the_polyp_in_view_and_nearly_in_place():
    for seed in range(4):
        still, moving = (
            phantom_clip(seed=seed, frames=24, size=SMALL, look="clear", steady=steady)[1] > 0
            for steady in (True, False)
        )
        assert still.any(axis=(1, 2)).all() and not moving.any(axis=(1, 2)).all()
        assert overlap(still) > max(0.8, overlap(moving))


def overlap(masks: np.ndarray) -> float:
    """Mean IoU of the masks of frames that follow one another, where a polyp is in view."""
    pairs = [(a, b) for a, b in zip(masks[:-1], masks[1:], strict=True) if (a | b).any()]
    return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs]))


def test_too_many_bursts_and_too_few_frames():
    with pytest.raises(InputError, match="3 bursts do not fit in 8 frames; give at most 2"):
        phantom_clip(seed=0, frames=8, size=SMALL, bursts=3)
    with pytest.raises(InputError, match="number of frames is 5; give 6 or more"):
        phantom_clip(seed=0, frames=5, size=SMALL)
    with pytest.raises(InputError, match="severity is 9; it must be above 0 and at most 8"):
        phantom_clip(seed=0, size=SMALL, severity=9)


def test_write_clips_makes_the_sun_seg_layout_with_natural_names(tmp_path):
    write_clips(tmp_path, split="TestHardDataset/Unseen", cases=2, frames=10, size=SMALL)
    folder = tmp_path / "TestHardDataset" / "Unseen"
    assert sorted(path.name for path in folder.iterdir()) == ["Frame", "GT"]
    for case in ("case1", "case2"):
        stems = [path.stem for path in (folder / "Frame" / case).glob("*.jpg")]
        assert sorted(stems) == sorted(path.stem for path in (folder / "GT" / case).glob("*.png"))
        keys = {stem: tuple(map(int, re.search(r"_a(\d+)_.*_image(\d+)$", stem).groups())) for stem in stems}
        natural = sorted(stems, key=keys.__getitem__)
        assert [keys[stem][1] for stem in natural] == list(range(1, 11))
        assert natural != sorted(stems)
    images = [path.read_bytes() for path in folder.glob("Frame/*/*_image0001.jpg")]
    assert len(set(images)) == 2


def test_command_line_writes_sets_and_clips(tmp_path):
    arguments = "--train 3 --test clear=2 hard=2 --clips TrainDataset=1 --frames 6 --size 96 112 --seed 4"
    assert main(["--out", str(tmp_path), *arguments.split()]) == 0
    counts = {
        "TrainDataset/images": 3,
        "TrainDataset/masks": 3,
        "TestDataset/PhantomClear/images": 2,
        "TestDataset/PhantomHard/masks": 2,
        "SUN-SEG/TrainDataset/Frame/case1": 6,
        "SUN-SEG/TrainDataset/GT/case1": 6,
    }
    assert {folder: len(list((tmp_path / folder).iterdir())) for folder in counts} == counts
    assert cv2.imread(str(tmp_path / "TrainDataset/images/phantom_0001.jpg")).shape == (*SMALL, 3)
    before = [(tmp_path / path).read_bytes() for path in files(tmp_path)]
    assert main(["--out", str(tmp_path), *arguments.split()]) == 0
    assert before == [(tmp_path / path).read_bytes() for path in files(tmp_path)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "nothing to write"),
        ("--train 0", "--train 0 was given; it must be at least 1"),
        ("--train 2 --test clear=0", "--test clear is 0; give 1 or more"),
        ("--train 2 --clips TrainDataset=1 --bursts 9", "9 bursts do not fit in 24 frames"),
        ("--test clear", "--test got 'clear'; write it as NAME=COUNT"),
        ("--test foggy=3", "unknown look 'foggy'"),
        ("--train 2 --size 32 32", "32 x 32 pixels"),
        ("--clips TrainDataset=2 --frames 3", "number of frames is 3"),
        ("--clips TrainDataset=2 --severity 0", "--severity 0 was given; it must be more than 0"),
        ("--clips TrainDataset=2 --look foggy", "unknown look 'foggy'"),
        ("--train 2 --seed -3", "--seed -3 was given; it must be at least 0"),
        ("--train 2 --frames nan", "--frames nan was given; it must be a whole number"),
        ("--train 2 --frames 12", "--frames was given without --clips, where it means nothing"),
        ("--test clear=2 --steady", "--steady was given without --clips, where it means nothing"),
        ("--clips ../elsewhere=2", "--clips ../elsewhere cannot name a folder in --out"),
        ("--clips /elsewhere=2", "--clips /elsewhere cannot name a folder in --out"),
        ("--clips A/Frame=2", "--clips A/Frame cannot name a folder in --out"),
        ("--clips GT=2", "--clips GT cannot name a folder in --out"),
        ("--clips A./B=2", "--clips A./B cannot name a folder in --out"),
        ("--clips A=2 A=3", "--clips names A twice; give it once"),
        ("--test clear=2 hard=1 clear=2", "--test names clear twice; give it once"),
    ],
)
def test_mistakes_end_with_one_line_and_status_2(tmp_path, capsys, arguments, sentence):
    assert main(["--out", str(tmp_path / "out"), *arguments.split()]) == 2
    message = capsys.readouterr().err
    assert sentence in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("stranger", "sentence"),
    [
        ("TrainDataset/images/mine.jpg", "images already holds 1 other file, first mine.jpg"),
        ("TestDataset/PhantomHard/masks/mine.png", "masks already holds 1 other file, first mine.png"),
        ("TestDataset/PhantomHard", "cannot create the folder {}/images: {} is a file; choose another one"),
        ("SUN-SEG/B/Frame/case9/mine.jpg", "Frame already holds 1 other file, first case9"),
        ("SUN-SEG/B/GT/case2/mine.png", "case2 already holds 1 other file, first mine.png"),
    ],
)
def test_every_set_is_looked_at_before_the_first_is_written(tmp_path, capsys, stranger, sentence):
    place = tmp_path / stranger
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    words = "--train 1 --test clear=1 hard=1 --clips A=1 B=2 --frames 6 --size 96 112"
    assert main(["--out", str(tmp_path), *words.split()]) == 2
    told = capsys.readouterr().err
    assert sentence.format(place, place) in told and told.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_what_was_written_is_told(tmp_path, capsys):
    words = "--train 2 --test clear=1 --clips A=1 --frames 6 --size 96 112"
    assert main(["--out", str(tmp_path), *words.split()]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"2 stills in {tmp_path / 'TrainDataset'}",
        f"1 still in {tmp_path / 'TestDataset' / 'PhantomClear'}",
        f"1 clip of 6 frames in {tmp_path / 'SUN-SEG' / 'A'}",
    ]


def test_two_commands_at_once_do_not_mix_images_with_masks_of_another_seed(tmp_path, capsys):
    words = ["--out", str(tmp_path / "out"), "--train", "1", "--size", "96", "112"]
    with locked_folder(tmp_path / "out", doing="draws into", advice=""):
        assert in_a_process(main, words) == 2 and not (tmp_path / "out" / "TrainDataset").exists()
    assert in_a_process(main, words) == 0


def test_a_file_in_place_of_the_folder(tmp_path, capsys):
    (tmp_path / "out").write_text("x")
    assert main(["--out", str(tmp_path / "out"), "--train", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: cannot create the folder")
