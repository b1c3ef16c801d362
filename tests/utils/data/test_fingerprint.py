"""What a run was made of: every byte of its data counts, and changes are told by name; the commit of the code."""

import os
import subprocess

import cv2
import numpy as np
import pytest

from measure.io.errors import InputError
from utils.data.clip_dataset import find_cases
from utils.data.fingerprint import DATA_FILE, changes, read_fingerprint, refuse_other_data
from utils.data.inspection import inspect
from utils.data.pairs import find_pairs
from utils.data.splits import find_parts
from utils.runtime.environment import revision
from utils.training.tasks import pairs_of


def write_image(path, word):
    """Write a black image with a word behind its end, which decoders pass over."""
    content = cv2.imencode(path.suffix, np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    path.write_bytes(content + word.encode())


def write_pairs(folder, *, word):
    """Nine pairs of files of different bytes."""
    for number in range(1, 10):
        for kind, suffix in (("images", "jpg"), ("masks", "png")):
            path = folder / kind / f"phantom_{number:04}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, f"{word} {kind} {number}")
    return folder


@pytest.fixture
def data(tmp_path):
    return write_pairs(tmp_path / "data", word="first")


def taken(folder, *, seed=0):
    training, validation = find_parts(folder, seed=seed)
    return inspect({"training": training, "validation": validation})


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_one_bit_is_noticed_in_its_part_alone_and_named(data):
    before = taken(data)
    training, validation = find_parts(data)
    flip_a_bit(validation[0].mask)
    after = taken(data)
    assert before.summary()["training"] == after.summary()["training"]
    assert before.summary()["validation"]["bytes"] == after.summary()["validation"]["bytes"]
    assert before.summary()["validation"]["hash"] != after.summary()["validation"]["hash"]
    assert changes(before, after) == f"1 file changed (masks/{validation[0].stem}.png)"
    assert before.summary()["training"]["files"] == 2 * len(training)


def test_place_and_time_of_files_do_not_matter(data):
    before = taken(data)
    moved = data.rename(data.with_name("elsewhere"))
    os.utime(moved / "images" / "phantom_0001.jpg", (0, 0))
    assert taken(moved) == before


def test_a_pair_more_and_one_less_are_told_whatever_part_files_are_drawn_into(data):
    before = taken(data)
    for pair in find_pairs(data)[:6]:
        for path in (pair.image, pair.mask):
            path.with_stem(f"more{path.stem}").write_bytes(path.read_bytes())
    for path in (find_pairs(data)[-1].image, find_pairs(data)[-1].mask):
        path.unlink()
    told = changes(before, taken(data))
    assert "12 files added (images/morephantom_000" in told and " and 7 more); 2 files removed (" in told
    assert "changed" not in told and "another part" not in told


def test_another_draw_of_the_held_out_part_is_told(data):
    held = {seed: find_parts(data, seed=seed)[1][0].stem for seed in (0, 1)}
    assert held[0] != held[1]
    told = changes(taken(data, seed=0), taken(data, seed=1))
    assert told.startswith("4 files in another part (images/") and f"masks/{held[1]}.png" in told


def test_two_folders_may_hold_files_of_one_name(data, tmp_path):
    other = write_pairs(tmp_path / "validation", word="second")
    parts = {"training": find_pairs(data), "validation": find_pairs(other)}
    before = inspect(parts)
    flip_a_bit(parts["validation"][3].image)
    assert changes(before, inspect(parts)) == "1 file changed (images/phantom_0004.jpg)"


def test_frames_of_clips_are_named_with_their_case(tmp_path):
    for kind, suffix in (("Frame", "jpg"), ("GT", "png")):
        for case in ("case1", "case2"):
            (tmp_path / kind / case).mkdir(parents=True)
            write_image(tmp_path / kind / case / f"image1.{suffix}", f"{kind} {case}")
    frames = {"training": pairs_of(find_cases(tmp_path))}
    before = inspect(frames)
    flip_a_bit(tmp_path / "Frame" / "case2" / "image1.jpg")
    assert changes(before, inspect(frames)) == "1 file changed (Frame/case2/image1.jpg)"


def test_other_data_are_refused_with_names_or_at_least_with_numbers(data, tmp_path):
    before = taken(data)
    config = {"data": before.summary()}
    before.write(tmp_path / DATA_FILE)
    refuse_other_data(before, config, folder=tmp_path, advice="do so")
    refuse_other_data(before, {}, folder=tmp_path, advice="a run that recorded nothing has nothing to refuse")
    flip_a_bit(data / "images" / "phantom_0001.jpg")
    with pytest.raises(InputError, match=r"1 file changed \(images/phantom_0001.jpg\); do so"):
        refuse_other_data(taken(data), config, folder=tmp_path, advice="do so")
    (tmp_path / DATA_FILE).unlink()
    with pytest.raises(InputError, match=r"training 16 files of \d+ bytes, .* were training 16 files"):
        refuse_other_data(taken(data), config, folder=tmp_path, advice="do so")


def test_a_table_of_another_run_is_no_witness(data, tmp_path):
    summary = taken(data).summary()
    assert read_fingerprint(tmp_path / DATA_FILE, summary) is None
    taken(data, seed=1).write(tmp_path / DATA_FILE)
    assert read_fingerprint(tmp_path / DATA_FILE, summary) is None
    taken(data).write(tmp_path / DATA_FILE)
    assert read_fingerprint(tmp_path / DATA_FILE, summary) == taken(data)


def git(folder, *words):
    name = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "-C", str(folder), *name, *words], check=True, capture_output=True)


def test_the_revision_is_the_commit_of_tracked_code(tmp_path, monkeypatch):
    code = tmp_path / "code.py"
    code.write_text("")
    assert revision(code) is None, "outside a clone"
    git(tmp_path, "init")
    assert revision(code) is None, "a copy that the repository around it does not track"
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "code")
    found = revision(code)
    assert len(found["commit"]) == 40 and found["dirty"] is False
    code.write_text("changed")
    assert revision(code) == {"commit": found["commit"], "dirty": True}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(code) is None, "without git"
