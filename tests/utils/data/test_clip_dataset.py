"""SUN-SEG's folders: cases, triplets, the window of memory frames, one geometry for all frames of a sample."""

import cv2
import numpy as np
import pytest
import torch

from measure.io.errors import InputError
from utils.data.augmentation.transforms import Flip, Jitter, Rotate
from utils.data.clip_dataset import (
    ClipTrainingData,
    augment_clip,
    draw_memory_frame,
    find_cases,
    memory_window,
    neighbour_of,
)
from utils.phantom import write_clips

AUGMENTATIONS = (Flip(), Rotate(), Jitter())
WINDOWS = (5, 10, 15, 20, 25)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("SUN-SEG")
    write_clips(folder, split="TrainDataset", cases=2, frames=12, size=(64, 80))
    return folder


def numbered_case(folder, count, name="case1"):
    """Frames whose grey level is ten times their number, and masks whose level lacks as much to 255."""
    for part in ("Frame", "GT"):
        (folder / part / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            level = np.full((8, 8, 3), 10 * k, np.uint8) if part == "Frame" else np.full((8, 8), 255 - 10 * k, np.uint8)
            cv2.imwrite(str(folder / part / name / f"image{k}.png"), level)
    return find_cases(folder)


def test_frames_are_paired_in_natural_order(root):
    cases = find_cases(root / "TrainDataset")
    assert [case.name for case in cases] == ["case1", "case2"]
    stems = [pair.stem for pair in cases[0].frames]
    assert [int(stem[-4:]) for stem in stems] == list(range(1, 13))
    assert "_a9_" in stems[7] and "_a10_" in stems[8], "the alphabet would put a10 first"
    assert all(pair.image.stem == pair.mask.stem for pair in cases[0].frames)


def test_frames_without_masks_and_masks_without_frames_are_counted_and_named(tmp_path):
    numbered_case(tmp_path, 9)
    for k in range(7):
        (tmp_path / "GT" / "case1" / f"image{k}.png").unlink()
    (tmp_path / "Frame" / "case1" / "image8.png").unlink()
    (tmp_path / "GT" / "case2").mkdir()
    cv2.imwrite(str(tmp_path / "GT" / "case2" / "x.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError) as error:
        find_cases(tmp_path)
    assert "7 frames have no mask, first case1/image0, case1/image1" in str(error.value)
    assert "case1/image4 and 2 more; 2 masks have no frame, first case1/image8, case2/x" in str(error.value)


def test_a_folder_of_another_layout_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no Frame/ and GT/; expected .*Frame/<case>/"):
        find_cases(tmp_path)
    (tmp_path / "Frame").mkdir()
    (tmp_path / "GT").mkdir()
    with pytest.raises(InputError, match="no frame under"):
        find_cases(tmp_path)


def test_the_window_of_memory_frames_grows_and_falls_back():
    windows = [memory_window(epoch, WINDOWS) for epoch in (1, 5, 6, 11, 16, 21, 25, 26, 200)]
    assert windows == [5, 5, 10, 15, 20, 25, 25, 5, 5]


def test_memory_frames_and_neighbours_at_the_ends_of_a_clip():
    rng = np.random.default_rng(0)

    def drawn(time, count, window=5):
        return {draw_memory_frame(time, count, window, rng) for _ in range(300)}

    assert drawn(10, 20) == {5, 6, 7, 8, 9}
    assert drawn(3, 20) == {0, 1, 2}
    assert drawn(0, 20) == {1}
    assert drawn(19, 20) == {14, 15, 16, 17}, "18 is the last frame's neighbour"
    assert drawn(10, 20, window=25) == set(range(10)) and drawn(19, 20, window=1) == {17}
    assert [neighbour_of(time, 20) for time in (0, 10, 19)] == [1, 11, 18]
    assert drawn(0, 1) == {0} and neighbour_of(0, 1) == 0
    assert drawn(0, 2) == {1} and drawn(1, 2) == {0} and (neighbour_of(0, 2), neighbour_of(1, 2)) == (1, 0)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_triplet_holds_the_frames_it_should(tmp_path, count):
    data = ClipTrainingData(numbered_case(tmp_path, count), size=8, seed=0, windows=WINDOWS, augmentation=())
    assert len(data) == count
    for time in range(count):
        sample = data[(1, time)]
        rng = np.random.default_rng((0, 1, time))
        remembered = draw_memory_frame(time, count, 5, rng)
        levels = {name: int(tensor.float().mean().round()) for name, tensor in sample.items()}
        levels = {name: (255 - level if "mask" in name else level) // 10 for name, level in levels.items()}
        assert levels["current"] == levels["mask"] == time
        assert levels["memory_frame"] == levels["memory_mask"] == remembered
        assert levels["neighbour"] == neighbour_of(time, count)
        assert {name: tuple(tensor.shape) for name, tensor in sample.items()} == {
            **dict.fromkeys(("memory_frame", "current", "neighbour"), (3, 8, 8)),
            **dict.fromkeys(("memory_mask", "mask"), (1, 8, 8)),
        }


def test_a_sample_depends_on_seed_epoch_and_index_alone(root):
    data = ClipTrainingData(
        find_cases(root / "TrainDataset"), size=32, seed=3, windows=WINDOWS, augmentation=AUGMENTATIONS
    )
    first = data[(1, 15)]
    for draw in ((2, 15), (1, 3), (7, 0)):
        data[draw]
    assert all(torch.equal(first[name], again) for name, again in data[(1, 15)].items())
    assert not torch.equal(first["current"], data[(2, 15)]["current"])
    assert all(tensor.dtype == torch.uint8 for tensor in first.values())


def test_one_geometry_for_all_frames_and_colors_for_each_frame():
    frame = np.random.default_rng(0).integers(256, size=(40, 40, 3), dtype=np.uint8)
    mask = np.zeros((40, 40), np.uint8)
    mask[5:15, 8:30] = 255
    turned, seen_flip, recolored = 0, 0, 0
    for seed in range(60):
        frames, masks = augment_clip([frame] * 3, [mask] * 2, np.random.default_rng(seed), AUGMENTATIONS, size=(40, 40))
        assert np.array_equal(masks[0], masks[1])
        assert frames[0].shape == frame.shape, "no crop"
        turned += not (np.array_equal(masks[0], mask) or np.array_equal(masks[0], mask[:, ::-1]))
        seen_flip += np.array_equal(masks[0], mask[:, ::-1])
        recolored += not np.array_equal(frames[0], frames[1]) and not np.array_equal(frames[1], frames[2])
    assert 4 <= turned <= 22 and 12 <= seen_flip <= 36 and recolored > 55


def test_frames_turn_with_their_masks():
    mask = np.zeros((40, 40), np.uint8)
    mask[5:15, 8:30] = 255
    frame = np.repeat(mask[:, :, None], 3, axis=2)
    augmentations = (Flip(), Rotate(p=1.0))
    for seed in range(10):
        frames, masks = augment_clip([frame] * 3, [mask] * 2, np.random.default_rng(seed), augmentations, size=(40, 40))
        assert all(np.abs(f[:, :, 0].astype(int) - masks[0]).max() <= 1 for f in frames)
