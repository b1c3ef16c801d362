"""One look at every file: what is damaged or does not fit is named, and nothing is read twice."""

import builtins
import hashlib
import io
import os
import pathlib
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from PIL import Image

from measure.io import Layout, parse_classes, parse_mask_values
from measure.io.errors import InputError
from utils.data.image_dataset import TrainingData
from utils.data.inspection import DataFault, inspect
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
    if hasattr(pathlib, "_NormalAccessor"):  # Python 3.10: paths keep a function of their own
        monkeypatch.setattr(pathlib._NormalAccessor, "open", staticmethod(counting))
    return counts


def test_every_file_is_opened_exactly_once(folder, opened):
    training, validation = find_parts(folder)
    files = {str(path) for pair in (*training, *validation) for path in (pair.image, pair.mask)}
    found = inspect({"training": training, "validation": validation})
    assert opened == Counter(files), "24 files, each once"
    assert len(found.entries) == len(files) == 24


def test_masks_of_classes_are_opened_once_too(folder, opened):
    for path in (folder / "masks").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) // 255)
    opened.clear()
    inspect({"training": find_pairs(folder)}, classes=parse_classes(["one=1", "two=2"]))
    assert len(opened) == 24 and set(opened.values()) == {1}


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


def rewrite_masks(folder, change, names=None):
    """Write the masks again as `change` makes them of their levels (H, W)."""
    for path in sorted((folder / "masks").iterdir()):
        if names is None or path.stem in names:
            assert cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))


KINDS = {
    "color": (lambda m: np.dstack([0 * m, 0 * m, m]), "is a color mask with 255,0,0 .* --mask_values 255,0,0"),
    "alpha": (lambda m: np.dstack([0 * m + 255] * 3 + [m]), "the mask seems to lie in the alpha channel"),
    "dark": (lambda m: m // 255 * 90, "90 at its brightest; .* --mask_values 90"),
    "16 bit": (lambda m: (m // 255).astype(np.uint16) * 200, "a 16-bit file whose highest value is 200"),
}


@pytest.mark.parametrize(("change", "message"), KINDS.values(), ids=KINDS)
def test_masks_whose_values_nobody_can_tell_are_refused(folder, change, message):
    rewrite_masks(folder, change)
    with pytest.raises(DataFault, match=message) as error:
        inspect({"training": find_pairs(folder)})
    assert error.value.kind == "mask" and error.value.files == (folder / "masks" / "1.png",)


def test_named_values_are_read_by_the_check_and_by_samples(folder):
    rewrite_masks(folder, lambda mask: np.dstack([0 * mask, 0 * mask, mask]))
    pairs = find_pairs(folder, Layout(mask_values=parse_mask_values(["255,0,0"])))
    inspect({"training": pairs})
    sample = TrainingData(pairs, size=40, seed=0, augmentation=())[(1, 11)]
    assert sample["mask"].min() == 0 and sample["mask"].max() == 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_masks_of_0_and_1_are_read_as_such_with_a_note(folder, capsys, dtype):
    before = [pair.read_mask() for pair in find_pairs(folder)]
    rewrite_masks(folder, lambda mask: (mask // 255).astype(dtype))
    pairs = find_pairs(folder)
    inspect({"training": pairs})
    assert "note: training: 12 of 12 masks hold 0 and 1" in capsys.readouterr().err
    assert all(np.array_equal(pair.read_mask(), mask) for pair, mask in zip(pairs, before, strict=True))


def test_masks_of_two_kinds_are_refused(folder):
    rewrite_masks(folder, lambda mask: mask // 255, names={"3", "5"})
    with pytest.raises(DataFault, match=r"training: 2 masks hold 0 and 1 \(3, 5\) and 10 others levels up to 255"):
        inspect({"training": find_pairs(folder)})


@pytest.mark.parametrize(
    ("level", "names", "note"),
    [
        (0, None, "no mask has a polyp; are these the right masks"),
        (0, {str(k) for k in range(1, 9)}, "8 of 12 masks are empty"),
        (255, {str(k) for k in range(1, 9)}, "8 of 12 masks are polyp throughout"),
        (0, {"1", "2"}, None),
    ],
)
def test_most_masks_empty_or_full_are_told_before_the_run(folder, capsys, level, names, note):
    rewrite_masks(folder, lambda mask: np.full_like(mask, level), names)
    inspect({"training": find_pairs(folder)})
    said = capsys.readouterr().err
    assert f"note: training: {note}" in said if note else said == ""


def tag(path, orientation):
    """Write a file again with an Exif orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.save(path, exif=exif)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_pair_of_which_one_file_is_tagged_is_refused_and_two_tags_are_as_stored(folder, orientation):
    pairs = {pair.stem: pair for pair in find_pairs(folder)}
    stored = pairs["2"].read_image(), pairs["2"].read_mask()
    tag(pairs["2"].image, orientation)
    with pytest.raises(DataFault, match=f"2.png has the Exif orientation {orientation} and .*2.png has no") as error:
        inspect({"training": list(pairs.values())})
    assert error.value.kind == "orientation"
    tag(pairs["2"].mask, orientation)
    inspect({"training": list(pairs.values())})
    assert np.array_equal(pairs["2"].read_image(), stored[0]) and np.array_equal(pairs["2"].read_mask(), stored[1])


def test_a_float_tiff_is_refused_with_the_way_out(folder):
    (folder / "masks" / "3.png").unlink()
    Image.fromarray(np.zeros((40, 50), np.float32), "F").save(folder / "masks" / "3.tif")
    with pytest.raises(DataFault, match="3.tif holds 32-bit numbers .*; write it as 8-bit PNG"):
        inspect({"training": find_pairs(folder)})


def test_a_jpeg_with_data_behind_its_end_is_read(folder):
    with (folder / "images" / "3.jpg").open("ab") as file:
        file.write(bytes(9000))
    inspect({"training": find_pairs(folder)})


def test_a_huge_pair_is_refused_before_it_takes_memory(folder):
    for kind in ("images", "masks"):
        Image.new("L", (14000, 8000)).save(folder / kind / "huge.png")
    with pytest.raises(DataFault, match="112 megapixels; the limit is 100, --max_megapixels raises it"):
        inspect({"training": find_pairs(folder)})


def test_names_that_are_not_utf8_are_refused_in_one_sentence(folder):
    image = folder / "images" / "2.png"
    image.rename(image.with_name(os.fsdecode(b"\xc8\xe2.png")))
    with pytest.raises(InputError, match=r"images holds a name that is not UTF-8, .*; rename it"):
        find_pairs(folder)
