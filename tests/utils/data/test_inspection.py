"""One look at every file: what is damaged or does not fit is named, and nothing is read twice."""

import builtins
import hashlib
import io
import os
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from measure.io.errors import InputError
from utils.data.inspection import inspect
from utils.data.pairs import find_pairs
from utils.data.splits import find_parts
from utils.runtime.process_group import World


@pytest.fixture
def opened(monkeypatch):
    """How often each file was opened, by name."""
    counts = Counter()

    def counting(file, *args, _open=io.open, **keywords):
        counts[os.fspath(file)] += 1
        return _open(file, *args, **keywords)

    monkeypatch.setattr(io, "open", counting)
    monkeypatch.setattr(builtins, "open", counting)
    return counts


def test_every_file_is_opened_exactly_once(folder, opened):
    training, validation = find_parts(folder)
    files = {str(path) for pair in (*training, *validation) for path in (pair.image, pair.mask)}
    found = inspect({"training": training, "validation": validation})
    assert opened == Counter(files), "24 files, each once"
    assert len(found.entries) == len(files) == 24


def test_a_pair_of_two_parts_is_read_once_and_recorded_twice(folder, opened):
    pairs = find_pairs(folder)
    found = inspect({"training": pairs, "validation": pairs[:2]})
    assert set(opened.values()) == {1}
    assert [entry.part for entry in found.entries].count("validation") == 4


def test_what_is_found_is_size_and_hash_of_the_bytes(folder):
    pair = find_pairs(folder)[0]
    image, mask = inspect({"training": [pair]}).entries
    assert (image.file, mask.file) == ("images/1.jpg", "masks/1.png")
    assert image.size == pair.image.stat().st_size
    assert mask.hash == hashlib.blake2b(pair.mask.read_bytes(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Told(World):
    """A process of two that hears what is said."""

    told: object = None

    def all_gather(self, item):
        return [self.told, item] if self.rank else [item, None]


def test_only_the_first_process_reads_and_the_others_hear_of_it(folder, opened):
    parts = {"training": find_pairs(folder)}
    found = inspect(parts, world=Told(0, 2))
    opened.clear()
    assert inspect(parts, world=Told(1, 2, told=found)) is found
    assert not opened


def test_every_process_refuses_what_the_first_one_found(folder):
    (folder / "images" / "2.png").write_text("hello")
    parts = {"training": find_pairs(folder)}
    with pytest.raises(InputError, match="cannot read .*2.png") as error:
        inspect(parts, world=Told(0, 2))
    with pytest.raises(InputError, match="cannot read .*2.png"):
        inspect(parts, world=Told(1, 2, told=error.value))


def test_sizes_that_differ_within_a_pair_are_told(folder):
    cv2.imwrite(str(folder / "masks" / "3.png"), np.zeros((40, 49), np.uint8))
    with pytest.raises(InputError, match=r"3.png is 49 x 40 but its image 3.jpg is 50 x 40"):
        inspect({"training": find_pairs(folder)})


@pytest.mark.parametrize("name", ["images/2.png", "images/3.jpg", "masks/4.png"])
def test_a_truncated_file_is_named(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=f"cannot read .*{name}"):
        inspect({"training": find_pairs(folder)})


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "images" / "2.png").write_text("hello")
    with pytest.raises(InputError, match="cannot read .*2.png"):
        inspect({"training": find_pairs(folder)})
