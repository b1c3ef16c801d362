"""What prediction refuses before anything is written, and what it says of what it wrote."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import myTest
from measure.io import InputError
from tests.helpers.weights import untrained
from utils.commands import parse_predict_args
from utils.phantom import write_stills
from utils.prediction import PredictConfig, Predictor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint of ours, untrained, of the network that is made and asked the quickest."""
    return untrained("scrnet", tmp_path_factory.mktemp("weights") / "best.pth", size=64)


@pytest.fixture(scope="module")
def sepnet(tmp_path_factory):
    return untrained("sepnet", tmp_path_factory.mktemp("weights") / "best.pth", size=64)


@pytest.fixture
def data(tmp_path):
    write_stills(tmp_path / "data" / "Set", count=2, seed=0, size=(64, 80))
    return tmp_path / "data"


def predict(weights, *flags):
    words = ["--model_state_dict_path", weights, "--device", "cpu", "--workers", "0", *flags]
    return myTest.main([str(word) for word in words])


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_input_size_times_a_scale_is_bounded(weights, data, tmp_path, capsys):
    flags = ["--test_data_path", data, "--pred_save_path", tmp_path / "maps", "--test_size", "4096"]
    assert predict(weights, *flags, "--scales", "1", "3") == 2
    told = "--scales 3 was given with an input of 4096 pixels; they lead to 12288, and at most 8192 are taken"
    assert told in capsys.readouterr().err and not (tmp_path / "maps").exists()


def test_masks_of_a_data_set_are_not_written_over(weights, data, tmp_path, capsys):
    images, masks = data / "Set" / "images", data / "Set" / "masks"
    before = files(data)
    assert predict(weights, "--input", images, "--masks", masks) == 2
    assert "may hold their true masks" in capsys.readouterr().err and files(data) == before
    bare = tmp_path / "bare"
    (bare / "images").mkdir(parents=True)
    for image in images.iterdir():
        (bare / "images" / image.name).write_bytes(image.read_bytes())
    for _ in range(2):  # its own masks may be written again
        assert predict(weights, "--input", bare / "images", "--masks", bare / "masks") == 0


def test_truth_of_other_names_is_not_written_into(weights, data, capsys):
    truth = data / "Set" / "Ground Truth"
    (data / "Set" / "masks").rename(truth)
    for mask in list(truth.iterdir()):
        mask.rename(truth / f"{mask.stem}_seg.png")
    before = files(data)
    assert predict(weights, "--input", data / "Set" / "images", "--masks", truth) == 2
    assert "_seg.png" in (told := capsys.readouterr().err) and "may hold their true masks" in told
    assert files(data) == before


@pytest.mark.parametrize(
    ("images", "truth"),
    [
        ("Set/images", "Set/Ground Truth"),
        ("Set/images", "Set/GT"),
        ("Split/Frame/case1", "Split/GT/case1"),
        ("Split/Frame/1", "Split/Frame/2"),
    ],
)
def test_truth_in_a_folder_of_any_name_is_not_written_over(images, truth, weights, data, tmp_path, capsys):
    source, target = tmp_path / "s" / images, tmp_path / "s" / truth
    for kind, place in (("images", source), ("masks", target)):
        place.parent.mkdir(parents=True, exist_ok=True)
        (data / "Set" / kind).rename(place)
    for mask in target.iterdir():
        Image.open(mask).save(mask.with_suffix(".jpg"))
        mask.unlink()
    before = files(tmp_path / "s")
    lists = [["--input", source], ["--input", f"{source}/*"], ["--input", *sorted(source.iterdir())]]
    for words in [*lists, ["--input", source, "--overlay", tmp_path / "o.mp4"]]:
        assert predict(weights, *words, "--masks", target) == 2, words
        told = capsys.readouterr().err
        assert f"{target} lies beside the images and may hold their true masks" in told and "predict.json" in told
    assert files(tmp_path / "s") == before and not (tmp_path / "o.mp4").exists()


def test_every_folder_of_results_has_the_record_and_may_be_written_again(weights, data):
    places = {flag: data / "Set" / flag for flag in ("masks", "pred_save_path", "overlay")}
    (data / "Set" / "masks").rename(data / "elsewhere")
    for _ in range(2):
        flags = [word for flag, place in places.items() for word in (f"--{flag}", place)]
        assert predict(weights, "--input", data / "Set" / "images", *flags) == 0
    records = [json.loads((place / "predict.json").read_text()) for place in places.values()]
    assert records[0] == records[1] == records[2] and records[0]["images"] == {".": 2}


@pytest.mark.parametrize(("runtime", "package"), [("openvino", "openvino"), ("onnxruntime", "onnx")])
def test_a_runtime_that_is_not_installed_is_refused_before_weights_are_read(
    runtime, package, data, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("utils.prediction.runtimes.names.has_packages", lambda *names: package not in names)
    (tmp_path / "no.pth").write_bytes(b"no weights")
    flags = ["--input", data / "Set" / "images", "--masks", tmp_path / "m", "--runtime", runtime]
    assert predict(tmp_path / "no.pth", *flags) == 2
    assert f"--runtime {runtime} needs {package}" in capsys.readouterr().err and not (tmp_path / "m").exists()
    with pytest.raises(InputError, match=f"--runtime {runtime} needs {package}"):
        Predictor.from_checkpoint(tmp_path / "no.pth", runtime=runtime)


NUMBERS = [field.name for field in dataclasses.fields(PredictConfig) if "int" in field.type or "float" in field.type]


@pytest.mark.parametrize("flag", [name for name in NUMBERS if name not in ("gpu_id", "seed", "workers")])
def test_zero_is_refused_where_nothing_can_be_done_with_it(flag):
    count = 3 if flag in ("net_sc_ksize", "net_sc_gas_ksize_scale") else 2 if flag == "net_df_channel_reduction" else 1
    with pytest.raises(InputError, match=f"--{flag} 0 was given; it must be"):
        parse_predict_args([f"--{flag}", *["0"] * count])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input", "a.mp4"], "--input was given without --overlay FILE or --masks FOLDER"),
        (["--input", "a.mp4", "--masks", "m", "--split", "t.txt"], "--split was given with --input"),
        (["--input", "a.mp4", "--masks", "m", "--heatmap"], "--heatmap was given with --input"),
        (["--input", "a.mp4", "--masks", "m", "--tint"], "--tint was given without --overlay"),
        (["--input", "a.mp4", "--masks", "m", "--show_rate"], "--show_rate was given without --overlay"),
        (["--input", "a.mp4", "--masks", "m", "--frame_rate", "5"], "--frame_rate was given without --overlay"),
        (["--tint"], "--tint was given without --overlay"),
        (["--input", "a.png", "--smoothing", "0.5"], "--smoothing was given with --input of still images"),
        (["--show_rate", "--overlay", "o"], "--show_rate was given without --input"),
        (["--input", "a.mp4", "--overlay", "o.mp4", "--table", "t.csv"], "--table was given with --input"),
        (["--input", "a.mp4", "--overlay", "o.mp4", "--contours", "c.json"], "--contours was given with --input"),
        (["--input", "a.mp4", "--overlay", "o.mp4", "--uncertainty", "u"], "--uncertainty was given with --input"),
        (["--contours", "c.xml"], "--contours c.xml was given; end its name in .json or .geojson"),
        (["--table", "t.xlsx"], "--table t.xlsx was given; end its name in .csv"),
        (["--masks", "m", "--overlay", "./m"], "--overlay and --masks are both m; they need two places"),
        (["--threshold", "0.5", "--threshold_from", "s.json"], "--threshold and --threshold_from were given; keep one"),
        (["--scales", "1", "0.75", "1"], "--scales 1.0 0.75 1.0 was given; name each scale once"),
        (["--overlay", "o.mp4"], "--overlay was given without --input"),
        (["--frame_rate", "5"], "--frame_rate was given without --input"),
        (["--input", "a.mp4", "--overlay", "g.mp4", "--masks", "./g.mp4"], "--overlay and --masks are both"),
        (["--input", ""], "--input"),
        (["--split", ""], "--split"),
        (["--pred_save_path", " "], "--pred_save_path"),
        (["--model", "unet"], "--model"),
        (["--heat", "true"], "unknown flag --heat: did you mean --heatmap?"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, message):
    with pytest.raises(InputError, match=message):
        parse_predict_args(flags)


def test_maps_never_overwrite_or_join_what_is_read(weights, data, tmp_path, capsys, monkeypatch):
    frames = tmp_path / "frames"
    write_stills(tmp_path / "made", count=2, seed=0, size=(64, 80))
    (tmp_path / "made" / "images").rename(frames)
    for image in frames.iterdir():
        Image.open(image).save(image.with_suffix(".png"))
        image.unlink()
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    for source, out in (
        ("frames", "."),
        ("frames", "frames"),
        ("data", "data"),
        ("data", "data/new"),
        ("data/Set/images", "data/Set/images/maps"),
    ):
        assert predict(weights, "--test_data_path", source, "--pred_save_path", out) == 2, (source, out)
        assert "choose another place for the output" in capsys.readouterr().err
    single = sorted(frames.iterdir())[0]
    assert predict(weights, "--test_data_path", single, "--pred_save_path", ".") == 2
    assert predict(weights, "--input", single, "--masks", "frames") == 2
    assert predict(weights, "--input", "frames", "--masks", "frames/masks") == 2
    assert predict(weights, "--input", "frames", "--overlay", "frames/o.mp4") == 2
    assert files(tmp_path) == before


def test_one_image_is_a_test_set_or_an_input(weights, data, tmp_path):
    image = data / "Set" / "images" / "phantom_0002.jpg"
    assert predict(weights, "--test_data_path", image, "--pred_save_path", tmp_path / "maps") == 0
    assert predict(weights, "--test_data_path", data / "Set", "--pred_save_path", tmp_path / "all") == 0
    assert [path.name for path in (tmp_path / "maps" / "Set").iterdir()] == ["phantom_0002.png"]
    one, of_all = (cv2.imread(str(tmp_path / name / "Set" / "phantom_0002.png"), -1) for name in ("maps", "all"))
    assert np.abs(one.astype(int) - of_all).max() <= 1
    assert predict(weights, "--input", image, "--masks", tmp_path / "masks") == 0
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["phantom_0002.png", "predict.json"]


def test_a_file_that_is_no_image_is_no_test_set(weights, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("none")
    assert predict(weights, "--test_data_path", tmp_path / "notes.txt", "--pred_save_path", tmp_path / "out") == 2
    assert "notes.txt is no image; expected one of .bmp, .jpeg" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_leaves_no_record_of_an_earlier_one(weights, data, tmp_path, capsys):
    out = tmp_path / "maps"
    assert predict(weights, "--test_data_path", data, "--pred_save_path", out) == 0
    assert json.loads((out / "predict.json").read_text())["images"] == {"Set": 2}
    (data / "Set" / "images" / "phantom_0002.jpg").write_bytes(b"no image")
    assert predict(weights, "--test_data_path", data, "--pred_save_path", out) == 2
    assert "phantom_0002.jpg" in capsys.readouterr().err
    assert not (out / "predict.json").exists()


def test_one_line_says_what_was_written_and_when_to_ask_for_the_other(weights, data, tmp_path, capsys):
    words = {}
    for flag in ("--minmax", "--no-minmax"):
        assert predict(weights, "--test_data_path", data, "--pred_save_path", tmp_path / "maps", flag) == 0
        words[flag] = capsys.readouterr().out
        assert words[flag].count("\n") == 1 and words[flag].startswith("2 maps of 1 set in ")
    assert "which shows a polyp in every image; --no-minmax keeps calibrated probabilities" in words["--minmax"]
    assert "255 x probability; --minmax stretches" in words["--no-minmax"]


@pytest.mark.parametrize("orientation", [3, 6])
def test_maps_of_tagged_pictures_have_the_stored_orientation(weights, data, tmp_path, orientation):
    folder = data / "Set" / "images"
    tag = Image.Exif()
    tag[0x112] = orientation
    plain = Image.open(folder / "phantom_0001.jpg").convert("RGB")
    plain.save(folder / "plain.png")
    plain.save(folder / "tagged.png", exif=tag)
    assert predict(weights, "--test_data_path", data, "--pred_save_path", tmp_path / "maps", "--heatmap") == 0
    maps = tmp_path / "maps"
    for name in ("Set/{}.png", "heatmap/Set/{}_features.png", "heatmap/Set/{}_probability.png"):
        stored, tagged = (cv2.imread(str(maps / name.format(stem)), -1) for stem in ("plain", "tagged"))
        assert tagged.shape == stored.shape and tagged.shape[0] == 64, "heat maps have a bar beside them"
        assert np.abs(stored.astype(int) - tagged).max() <= 1
    assert predict(weights, "--input", folder / "tagged.png", "--masks", tmp_path / "masks") == 0
    assert cv2.imread(str(tmp_path / "masks" / "tagged.png"), -1).shape == (64, 80)


def test_help_says_which_orientation_maps_have(capsys):
    with pytest.raises(SystemExit):
        parse_predict_args(["--help"])
    assert "pixels are taken as they are stored" in " ".join(capsys.readouterr().out.split())


def test_another_networks_name_is_refused(sepnet, data, tmp_path, capsys):
    flags = ["--test_data_path", data, "--pred_save_path", tmp_path / "out"]
    assert predict(sepnet, *flags, "--model", "scrnet") == 2
    assert "holds sepnet, and scrnet was asked for; leave the name out or change it" in capsys.readouterr().err
    assert predict(sepnet, *flags, "--net_backbone", "pvt-v2-b1") == 2
    assert "the file says sepnet with pvt-v2-b0; the model is sepnet with pvt-v2-b1; give" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert predict(sepnet, *flags, "--model", "sepnet") == 0


def test_the_first_map_that_is_not_finite_stops(sepnet, data, tmp_path, capsys):
    content = torch.load(sepnet, weights_only=True)
    content["model_state_dict"]["head1.1.bias"].fill_(3e38)
    content["model_state_dict"]["head1.1.weight"].fill_(3e38)
    torch.save(content, tmp_path / "overflowing.pth")
    flags = ["--test_data_path", data, "--pred_save_path", tmp_path / "out"]
    assert predict(tmp_path / "overflowing.pth", *flags) == 2
    error = capsys.readouterr().err
    assert "the network's output for " in error and "phantom_0001.jpg is not finite" in error
    assert not list((tmp_path / "out").rglob("*.png")) and not (tmp_path / "out" / "predict.json").exists()


def test_weights_that_are_not_finite_are_refused(sepnet, data, tmp_path, capsys):
    content = torch.load(sepnet, weights_only=True)
    content["model_state_dict"]["head1.1.bias"].fill_(float("nan"))
    torch.save(content, tmp_path / "nan.pth")
    flags = ["--test_data_path", data, "--pred_save_path", tmp_path / "out"]
    assert predict(tmp_path / "nan.pth", *flags) == 2
    assert "entries (1): head1.1.bias" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_heat_maps_cost_no_second_forward(sepnet, data, tmp_path, monkeypatch):
    from lib.sepnet import SEPNet

    forward, calls = SEPNet.forward, []
    monkeypatch.setattr(SEPNet, "forward", lambda self, image: calls.append(len(image)) or forward(self, image))
    assert predict(sepnet, "--test_data_path", data, "--pred_save_path", tmp_path / "maps", "--heatmap") == 0
    assert calls == [2]


def test_images_lie_where_the_flags_say(weights, data, tmp_path, capsys):
    (data / "Set" / "images").rename(data / "Set" / "Original")
    flags = ["--test_data_path", data, "--pred_save_path", tmp_path / "maps"]
    assert predict(weights, *flags) == 2
    told = "it holds the folder Set; --images NAME names the folder of the images"
    assert told in capsys.readouterr().err and not (tmp_path / "maps").exists()
    assert predict(weights, *flags, "--images", "Original") == 0
    assert len(list((tmp_path / "maps" / "Set").iterdir())) == 2
    for mask in (data / "Set" / "masks").iterdir():
        mask.rename(data / "Set" / "Original" / f"{mask.stem}_mask.png")
    more = ["--test_data_path", data, "--pred_save_path", tmp_path / "more", "--images", "Original"]
    assert predict(weights, *more, "--mask_suffix", "_mask") == 0
    names = [path.name for path in sorted((tmp_path / "more" / "Set").iterdir())]
    assert names == ["phantom_0001.png", "phantom_0002.png"]


def test_huge_images_are_refused_unless_allowed(weights, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MEASURE_MAX_MEGAPIXELS", "")  # set by the command for its loader processes
    flags = ["--test_data_path", data, "--pred_save_path", tmp_path / "maps"]
    assert predict(weights, *flags, "--max_megapixels", "0.005") == 2
    assert "megapixels; the limit is 0.005, --max_megapixels raises it" in capsys.readouterr().err
    assert predict(weights, *flags) == 0
