"""Masks, regions, outlines, tables and thresholds, by numbers worked by hand."""

import csv
import json

import cv2
import numpy as np
import pytest
from PIL import Image

import myTest
from measure.commands.score import main as measure
from measure.io import InputError
from tests.helpers.weights import untrained
from utils.phantom import write_stills
from utils.prediction import MapOptions
from utils.prediction.outputs import best_threshold, cut, find_regions
from utils.prediction.outputs.contours import ImageRegions, coco, geojson, outlines, run_lengths
from utils.prediction.outputs.thresholds import lowest_level

GREY = np.array(
    [
        [0, 0, 200, 0, 0],
        [90, 0, 255, 255, 0],
        [0, 0, 0, 130, 0],
        [128, 127, 0, 0, 0],
    ],
    np.uint8,
)


def test_a_map_is_cut_where_its_8_bit_levels_pass():
    assert np.array_equal(cut(GREY, threshold=0.5) > 0, GREY >= 128)
    assert np.array_equal(cut(GREY, threshold=90 / 255) > 0, GREY >= 90)
    assert np.array_equal(cut(GREY, threshold=1.0) > 0, GREY == 255)
    assert [lowest_level(level / 255) for level in range(1, 256)] == list(range(1, 256))
    small_gone = cut(GREY, threshold=0.5, min_region=2 / 20)
    assert small_gone[3, 0] == 0 and small_gone.sum() == 4 * 255, "regions of one pixel of 20 are left out"
    assert cut(GREY, threshold=0.5, min_region=1 / 20)[3, 0] == 255


def test_regions_have_boxes_areas_and_probabilities():
    large, small = find_regions(cut(GREY, threshold=0.5), GREY / 255)
    assert (large.area, large.box, small.area, small.box) == (4, (2, 0, 2, 3), 1, (0, 3, 1, 1))
    assert large.greatest == 1.0 and large.mean == pytest.approx((200 + 255 + 255 + 130) / 4 / 255)
    assert large.mask.tolist() == [[True, False], [True, True], [False, True]]


def area(ring):
    x, y = ring.T
    return np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2


def test_outlines_run_along_pixel_edges():
    ((ring,),) = outlines(np.ones((2, 3), bool))
    assert ring.tolist() == [[0, 0], [3, 0], [3, 2], [0, 2]]
    holed = np.ones((3, 3), bool)
    holed[1, 1] = False
    ((outer, hole),) = outlines(holed)
    assert area(outer) == 9 and sorted(hole.tolist()) == [[1, 1], [1, 2], [2, 1], [2, 2]]
    rng = np.random.default_rng(0)
    for density in rng.uniform(0.1, 0.9, 200):
        mask = rng.random((9, 11)) < density
        assert sum(area(ring) for rings in outlines(mask) for ring in rings) == mask.sum()
    assert outlines(np.zeros((2, 2), bool)) == []


def test_run_lengths_go_down_the_columns():
    assert run_lengths(np.array([[0, 1], [1, 1]], bool)) == {"counts": [1, 3], "size": [2, 2]}
    assert run_lengths(np.array([[1, 0], [0, 0]], bool)) == {"counts": [0, 1, 3], "size": [2, 2]}


def test_coco_and_geojson_of_one_image():
    holed = np.zeros((6, 6), np.uint8)
    holed[1:4, 2:5] = 255
    holed[2, 3] = 0
    holed[5, 0] = 255
    images = [ImageRegions("a.png", (6, 6), find_regions(holed, holed / 255))]
    found = coco(images)
    assert found["images"] == [{"id": 1, "file_name": "a.png", "height": 6, "width": 6}]
    first, second = found["annotations"]
    assert first["bbox"] == [2, 1, 3, 3] and first["area"] == 8
    only = np.zeros((6, 6), bool)
    only[1:4, 2:5] = holed[1:4, 2:5] > 0
    assert first["segmentation"] == run_lengths(only) and first["score"] == 1.0
    assert second["segmentation"] == [[0, 5, 1, 5, 1, 6, 0, 6]]
    features = geojson(images)["features"]
    assert [len(feature["geometry"]["coordinates"]) for feature in features] == [2, 1]
    ring = features[1]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1] and features[1]["properties"]["area"] == 1


def scores(path, curve, *, minmax=False, written=False, images=(2,)):
    sets = {f"Set{number}": {"Dice": list(values)} for number, values in enumerate(curve)}
    counts = {name: {"images": count} for name, count in zip(sets, images, strict=True)}
    options = {"minmax": minmax, "prediction": {"options": {"minmax": written}}}
    path.write_text(json.dumps({"options": options, "curves": sets, "counts": counts}))
    return path


def test_the_best_threshold_is_weighted_by_images_and_passes_the_scorers_levels(tmp_path):
    first, second = np.zeros(256), np.zeros(256)
    first[155], second[100] = 0.8, 0.9  # thresholds fall from 255 / 255: levels 100 and 155
    found = best_threshold(scores(tmp_path / "scores.json", [first, second], images=(3, 1)))
    assert found.dice == pytest.approx(0.6) and found.images == 4
    assert lowest_level(found.threshold) == int(np.searchsorted(np.arange(256) / 255, np.linspace(1, 0, 256)[155]))
    flat = np.zeros(256)
    flat[100:201] = 0.5
    assert lowest_level(best_threshold(scores(tmp_path / "scores.json", [flat])).threshold) == pytest.approx(105, abs=1)
    assert MapOptions(threshold_from=str(tmp_path)).cut_at == best_threshold(tmp_path).threshold


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON; expected the scorer's scores.json"),
        ("[]", "is not the scorer's scores.json"),
        ('{"options": {"minmax": false}}', "holds no curves of Dice to choose by"),
        ('{"options": {"minmax": false}, "curves": {"a": {"Dice": [1]}}, "counts": {"a": {"images": 1}}}', "no curves"),
        ('{"options": {"minmax": true}}', "was made of maps stretched one by one"),
        ('{"options": {"minmax": false, "prediction": {"options": {"minmax": true}}}}', "stretched one by one"),
        ("{}", "stretched one by one"),
    ],
)
def test_scores_that_tell_no_threshold_are_refused(tmp_path, content, message):
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(InputError, match=message):
        best_threshold(tmp_path / "scores.json")
    with pytest.raises(InputError, match="cannot read .*none.json"):
        best_threshold(tmp_path / "none.json")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    write_stills(root / "Set", count=3, seed=0, size=(70, 90))
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return [untrained("sepnet", folder / f"{seed}.pth", size=64, seed=seed) for seed in (0, 1)]


def predict(weights, *flags):
    words = ["--model_state_dict_path", *weights, "--device", "cpu", "--workers", "0", *flags]
    return myTest.main([str(word) for word in words])


@pytest.mark.slow
@pytest.mark.parametrize("given", ["--input", "--test_data_path"])
def test_all_that_can_be_written_agrees(weights, data, tmp_path, capsys, given):
    maps, masks, overlay = (tmp_path / name for name in ("maps", "masks", "overlay"))
    flags = [given, data, "--no-minmax", "--pred_save_path", maps, "--masks", masks, "--overlay", overlay, "--tint"]
    flags += ["--table", tmp_path / "t.csv", "--contours", tmp_path / "c.json", "--threshold", 0.45]
    assert predict(weights[:1], *flags, "--min_region", 0.01, "--uncertainty", tmp_path / "u", "--flips") == 0
    beside = ", ".join(str(tmp_path / name) for name in ("masks", "overlay", "u", "c.json", "t.csv"))
    assert f"\nbeside the maps: {beside}\n" in capsys.readouterr().out
    rows = {row["image"]: row for row in csv.DictReader((tmp_path / "t.csv").open())}
    assert list(rows) == [f"Set/phantom_000{number}.jpg" for number in (1, 2, 3)]
    outlined = json.loads((tmp_path / "c.json").read_text())
    assert [image["file_name"] for image in outlined["images"]] == list(rows)
    for number in (1, 2, 3):
        name = f"Set/phantom_000{number}"
        grey, mask = (cv2.imread(str(root / f"{name}.png"), -1) for root in (maps, masks))
        assert np.array_equal(mask, cut(grey, threshold=0.45, min_region=0.01))
        assert float(rows[f"{name}.jpg"]["polyp_share"]) == pytest.approx((mask > 0).mean(), abs=1e-6)
        areas = [a["area"] for a in outlined["annotations"] if a["image_id"] == number]
        assert sum(areas) == (mask > 0).sum() and len(areas) == int(rows[f"{name}.jpg"]["regions"])
        assert cv2.imread(str(overlay / f"{name}.png")).shape == (70, 90, 3)
        assert cv2.imread(str(tmp_path / "u" / f"{name}.png"), -1).shape == (70, 90)
    options = json.loads((maps / "predict.json").read_text())["options"]
    assert (options["threshold"], options["flips"], options["min_region"]) == (0.45, True, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("orientation", "is_told"), [(6, True), (1, False)])
def test_outlines_of_pictures_that_viewers_turn_are_told(weights, data, tmp_path, capsys, orientation, is_told):
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(data / "Set" / "images" / "phantom_0001.jpg") as picture:
        picture.save(tmp_path / "in" / "a.jpg", exif=exif)
        picture.save(tmp_path / "in" / "b.jpg")
    assert predict(weights[:1], "--input", tmp_path / "in", "--contours", tmp_path / "c.json") == 0
    told = "note: 1 of 2 images has an Exif orientation (a.jpg): outlines and boxes are of the pixels as stored"
    assert (told in capsys.readouterr().err) == is_told
    sizes = {(image["height"], image["width"]) for image in json.loads((tmp_path / "c.json").read_text())["images"]}
    assert sizes == {(70, 90)}


@pytest.mark.slow
@pytest.mark.parametrize(("flag", "is_told"), [("--table", True), ("--pred_save_path", False)])
def test_what_does_not_tell_classes_apart_is_told(data, tmp_path, capsys, flag, is_told):
    classes = untrained("sepnet", tmp_path / "classes.pth", size=64, classes=["adenoma=1", "hyperplastic=2"])
    assert predict([classes], "--input", data, flag, tmp_path / "out.csv") == 0
    told = "note: masks, overlays, outlines and the table are of polyp of whatever class (adenoma, hyperplastic)"
    assert (told in capsys.readouterr().err) == is_told


@pytest.mark.slow
def test_the_scorers_threshold_goes_into_the_masks(weights, data, tmp_path, capsys):
    maps = tmp_path / "maps"
    assert predict(weights[:1], "--test_data_path", data, "--pred_save_path", maps, "--no-minmax") == 0
    folders = ["--GT_root", data, "--pred_root", maps, "--out", tmp_path / "scores", "--no-plots", "--workers", 1]
    assert measure([str(word) for word in [*folders, "--no-minmax"]]) == 0
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    capsys.readouterr()
    flags = ["--masks", tmp_path / "masks", "--threshold_from", tmp_path / "scores"]
    assert predict(weights[:1], "--input", data / "Set", *flags) == 0
    told = capsys.readouterr().err
    assert f"where mean Dice was {scores['datasets']['Set']['maxDice']:.4f} on 3 images" in told
    found = best_threshold(tmp_path / "scores")
    dice = []
    for mask_path in sorted((data / "Set" / "masks").iterdir()):
        mask = cv2.imread(str(mask_path), 0) > 128
        ours = cv2.imread(str(tmp_path / "masks" / f"{mask_path.stem}.png"), 0) > 0
        dice.append(2 * (mask & ours).sum() / (mask.sum() + ours.sum()))
    assert np.mean(dice) == pytest.approx(found.dice, abs=1e-9)


@pytest.mark.slow
def test_averages_are_asked_of_image_networks_alone_and_uncertainty_needs_two_answers(weights, data, tmp_path, capsys):
    out = ["--pred_save_path", tmp_path / "maps"]
    assert predict(weights[:1], "--input", data, "--uncertainty", tmp_path / "u") == 2
    assert "--uncertainty was given with one network that is asked once" in capsys.readouterr().err
    assert predict(weights, "--input", data, "--heatmap", *out) == 2
    assert "--heatmap was given where answers are averaged" in capsys.readouterr().err
    classes = untrained("sepnet", tmp_path / "classes.pth", size=64, classes=["a=1", "b=2"])
    assert predict([weights[0], classes], "--input", data, *out) == 2
    assert "know other classes; only equal ones can be averaged" in capsys.readouterr().err
    assert predict([weights[0], weights[0]], "--input", data, "--uncertainty", tmp_path / "u") == 2
    assert "was given twice; a network's answer averaged with itself stays the same" in capsys.readouterr().err
    (tmp_path / "t.csv").mkdir()
    assert predict(weights[:1], "--input", data, "--table", tmp_path / "t.csv") == 2
    assert "t.csv is a folder, and a file of this name is to be written" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()
    assert predict(weights, "--input", data, *out) == 0
    record = json.loads((tmp_path / "maps" / "predict.json").read_text())
    assert record["weights"] == [str(path) for path in weights] and len(set(record["weights_sha256"])) == 2
