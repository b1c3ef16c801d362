"""The cache of decoded pairs: the same samples but for a second resampling, and never those of a file that changed."""

import os
import stat
from functools import partial

import cv2
import numpy as np
import pytest
import torch

import myTrain
import utils.data.cache
from measure.io.class_masks import parse_classes
from measure.io.errors import InputError
from tests.helpers.runs import assert_equal, state
from utils.data.augmentation.pipeline import parse_augmentation
from utils.data.cache import DiskCache, MemoryCache, open_cache
from utils.data.image_dataset import TrainingData
from utils.data.pairs import find_pairs
from utils.phantom import write_stills
from utils.training.recipes import RECIPES

SIZE = 64
AUGMENTATIONS = [parse_augmentation(text) for text in RECIPES["sepnet"].config.augment]


@pytest.fixture
def pairs(tmp_path):
    write_stills(tmp_path / "data", count=4, seed=0, size=(132, 156))
    return find_pairs(tmp_path / "data")


@pytest.fixture
def decoded(monkeypatch):
    """Stems in the order in which their files are decoded."""
    stems, decode = [], utils.data.cache.decode_pair
    monkeypatch.setattr(
        utils.data.cache, "decode_pair", lambda pair, classes: stems.append(pair.stem) or decode(pair, classes)
    )
    return stems


def training(pairs, read=None):
    return TrainingData(pairs, size=SIZE, seed=0, augmentation=AUGMENTATIONS, read=read)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_samples_are_those_without_a_cache_but_for_a_second_resampling(pairs, tmp_path, kind):
    plain = training(pairs)
    cached = training(pairs, open_cache(kind, tmp_path / "cache", pairs, size=SIZE))
    assert open_cache("off", tmp_path / "none", pairs, size=SIZE) is None and not (tmp_path / "none").exists()
    for epoch in range(1, 6):
        for index in range(4):
            first, second, again = plain[(epoch, index)], cached[(epoch, index)], cached[(epoch, index)]
            assert_equal(second, again)
            for name, bound in (("image", 3), ("mask", 2)):
                difference = first[name].float() - second[name].float()
                assert difference.abs().mean() < bound
                assert abs(difference.mean()) < 1


def test_kept_images_are_shrunk_but_never_enlarged(pairs, tmp_path):
    found = MemoryCache(pairs, size=SIZE)(pairs[0])
    assert found.image.shape == (80, 80, 3) and found.mask.shape == (80, 80) and found.size == (132, 156)
    same = DiskCache(tmp_path / "cache", size=512)(pairs[0])
    assert np.array_equal(same.image, training(pairs).read(pairs[0]).image)


def test_memory_and_disk_keep_the_same_bits_and_decode_once(pairs, tmp_path, decoded):
    disk = DiskCache(tmp_path, size=SIZE)
    written, read, memory = disk(pairs[0]), disk(pairs[0]), MemoryCache(pairs, size=SIZE)(pairs[0])
    assert np.array_equal(written.image, read.image) and np.array_equal(read.image, memory.image)
    assert np.array_equal(written.mask, read.mask) and np.array_equal(read.mask, memory.mask)
    assert decoded == [pairs[0].stem, *(pair.stem for pair in pairs)]
    read.image[:] = 0
    assert np.array_equal(disk(pairs[0]).image, written.image), "what a sample is made into stays out of the cache"


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_changed_file_is_decoded_again(pairs, tmp_path, decoded, kind):
    cache = open_cache(kind, tmp_path / "cache", pairs, size=SIZE)
    before = cache(pairs[1]).mask.copy()
    cv2.imwrite(str(pairs[1].mask), np.full((132, 156), 255, np.uint8))
    assert cache(pairs[1]).mask.min() == 255 and before.min() == 0
    decoded.clear()
    assert cache(pairs[1]).mask.min() == 255 and not decoded
    os.utime(pairs[1].image, ns=(0, 0))
    cache(pairs[1])
    assert decoded == [pairs[1].stem]
    pairs[1].image.unlink()
    with pytest.raises(InputError, match="cannot read .*No such file"):
        cache(pairs[1])


def flipped_bit(content, place):
    """The content with one bit of the byte at `place`, a fraction of its length, changed."""
    changed = bytearray(content)
    changed[int(place * (len(content) - 1))] ^= 4
    return bytes(changed)


DAMAGES = {
    "head alone": lambda content: content[:50],
    "cut off": lambda content: content[:-9],
    "empty": lambda content: b"",
    "another file": lambda content: b"PK" + content,
    **{f"bit at {place}": partial(flipped_bit, place=place) for place in (0, 0.0005, 0.003, 0.3, 0.7, 0.9, 1)},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_made_again(pairs, tmp_path, decoded, damage):
    cache = DiskCache(tmp_path / "cache", size=SIZE)
    good, path = cache(pairs[0]), cache.path(pairs[0])
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(damage(whole))
    assert np.array_equal(cache(pairs[0]).image, good.image) and len(decoded) == 2
    assert path.read_bytes() == whole


def test_only_the_owner_can_look_into_the_folder(pairs, tmp_path):
    before = os.umask(0)
    try:
        cache = DiskCache(tmp_path / "cache", size=SIZE)
        cache(pairs[0])
        shared = DiskCache(tmp_path, size=SIZE)
        shared(pairs[0])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    for path in (cache.path(pairs[0]), shared.path(pairs[0])):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", " "])
def test_a_folder_without_a_name_is_refused(pairs, name):
    with pytest.raises(InputError, match="the cache's folder has no name; give one with --cache_path"):
        open_cache("disk", name, pairs, size=SIZE)


def test_runs_that_differ_do_not_share_entries(pairs, tmp_path):
    labels = parse_classes(["one=255", "two=7"])
    caches = [DiskCache(tmp_path, size=64), DiskCache(tmp_path, size=96), DiskCache(tmp_path, size=64, classes=labels)]
    assert len({cache.path(pair) for cache in caches for pair in pairs}) == 12
    planes = caches[2](pairs[0]).mask
    assert planes.shape == (80, 80, 2) and np.array_equal(caches[2](pairs[0]).mask, planes)


def test_a_folder_that_takes_no_more_is_told_once(pairs, tmp_path, capsys, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    cache = DiskCache(tmp_path / "cache", size=SIZE)
    monkeypatch.setattr(os, "replace", refuse)
    assert [cache(pair).image.shape for pair in pairs] == [(80, 80, 3)] * 4
    assert capsys.readouterr().err.count("No space left on device") == 1
    assert not list((tmp_path / "cache").iterdir())


def test_several_workers_fill_one_folder(pairs, tmp_path):
    data = training(pairs, DiskCache(tmp_path / "cache", size=SIZE))
    draws = [[(1, 0), (1, 1)], [(1, 0), (1, 1)], [(1, 2), (1, 3)], [(1, 2), (1, 3)]]
    batches = list(torch.utils.data.DataLoader(data, batch_sampler=draws, num_workers=2))
    assert torch.equal(batches[0]["image"], batches[1]["image"])
    assert torch.equal(batches[2]["mask"], batches[3]["mask"])
    assert len(list((tmp_path / "cache").iterdir())) == 4


@pytest.mark.slow
def test_training_with_a_cache_has_the_same_bits_filled_or_empty(pairs, tmp_path):
    flags = ["--net_backbone", "pvt-v2-b0", "--net_pretrained_backbone_path", "none", "--train_size", "64"]
    flags += ["--epoch", "1", "--device", "cpu", "--workers", "0", "--train_data_path", str(tmp_path / "data")]
    for name in ("empty", "filled"):
        places = ["--train_model_save_path", str(tmp_path / name), "--cache_path", str(tmp_path / "cache")]
        assert myTrain.main([*flags, *places, "--cache", "disk"]) == 0
    empty, filled = (state(tmp_path / name)["model_state_dict"] for name in ("empty", "filled"))
    assert_equal(empty, filled)


def test_video_networks_refuse_a_cache(tmp_path, capsys):
    assert myTrain.main(["--model", "sali", "--cache", "disk", "--train_model_save_path", str(tmp_path / "run")]) == 2
    assert "--cache disk was given; it serves networks of images" in capsys.readouterr().err
