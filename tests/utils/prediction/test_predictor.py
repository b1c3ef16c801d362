"""Predictor: arrays, PIL images, lists and streams, from a checkpoint alone, equal to what myTest.py writes."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import myTest
from lib import ModelError, create_model, list_models, model_entry
from measure.io import InputError, read_rgb
from tests.helpers.golden import published_state
from utils.phantom import phantom_clip, write_stills
from utils.prediction import Predictor
from utils.prediction import network as module
from utils.training import recipe_for

pytestmark = pytest.mark.slow

BACKBONES = {"sepnet": "test_resnet", "sali": "test_resnet"}


def checkpoint(name, path, *, size, classes=None):
    """Untrained weights as a training run of ours saves them."""
    torch.manual_seed(0)
    options = {"backbone": BACKBONES[name]} | ({"classes": len(classes)} if classes else {})
    model = create_model(name, **options)
    described = {"name": name, "options": dataclasses.asdict(model.config)}
    config = {"model": described, "flags": {"train_size": size, "classes": classes}}
    torch.save({"format_version": 2, "config": config, "model_state_dict": model.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    write_stills(root / "Set", count=3, seed=0, size=(70, 90))
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return checkpoint("sepnet", tmp_path_factory.mktemp("weights") / "best.pth", size=64)


def images_of(data):
    return [read_rgb(path) for path in sorted((data / "Set" / "images").iterdir())]


def test_probabilities_are_the_maps_that_mytest_writes_without_stretching(data, trained, tmp_path):
    flags = ["--test_data_path", str(data), "--pred_save_path", str(tmp_path), "--no-minmax", "--device", "cpu"]
    assert myTest.main(["--model_state_dict_path", str(trained), "--workers", "0", *flags]) == 0
    predictor = Predictor.from_checkpoint(trained, device="cpu")
    found = predictor.probability(images_of(data))
    for number, probability in enumerate(found, start=1):
        assert probability.shape == (70, 90) and probability.dtype == np.float32
        written = cv2.imread(str(tmp_path / "Set" / f"phantom_000{number}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(written, np.round(255 * probability))


def test_an_array_a_picture_and_a_list_of_many_sizes_agree(data, trained):
    predictor = Predictor.from_checkpoint(trained, device="cpu")
    image = images_of(data)[0]
    alone = predictor.probability(image)
    assert np.array_equal(predictor.probability(Image.fromarray(image)), alone)
    crops = [image, image[:33, :50], image[10:], *[image] * 7]
    found = predictor.probability(crops)
    assert [probability.shape for probability in found] == [crop.shape[:2] for crop in crops]
    assert all(np.abs(found[place] - alone).max() < 1e-5 for place in (0, 3, 9))
    assert predictor.probability([]) == []
    grey = Image.fromarray(image).convert("L")
    assert predictor.probability(grey).shape == image.shape[:2]


@pytest.mark.parametrize("name", ["sepnet", "sali"])
def test_a_stream_gives_every_frame_in_order(name, tmp_path):
    size = model_entry(name).network.smallest
    predictor = Predictor.from_checkpoint(checkpoint(name, tmp_path / "w.pth", size=size), device="cpu")
    frames = list(phantom_clip(seed=1, frames=6, size=(64, 80))[0])[:4]
    frames[2] = frames[2][:50]
    found = list(predictor.stream(iter(frames)))
    assert [probability.shape for probability in found] == [frame.shape[:2] for frame in frames]
    alone = predictor.probability(frames[0])
    if name == "sepnet":
        assert np.abs(found[0] - alone).max() < 1e-5
    else:
        assert np.array_equal(next(predictor.stream(frames[:1])), alone), "an image is a clip of one frame"
        assert not np.array_equal(found[0], alone), "a frame of a clip is seen with its neighbor"
    assert list(predictor.stream([])) == []


def test_of_several_classes_the_largest_counts(data, tmp_path):
    path = checkpoint("sepnet", tmp_path / "w.pth", size=64, classes=["adenoma=1", "hyperplastic=2"])
    flags = ["--test_data_path", str(data), "--pred_save_path", str(tmp_path / "maps"), "--device", "cpu"]
    assert myTest.main(["--model_state_dict_path", str(path), "--workers", "0", *flags]) == 0
    found = Predictor.from_checkpoint(path, device="cpu").probability(images_of(data))
    merged = cv2.imread(str(tmp_path / "maps/merged/Set/phantom_0002.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(merged, np.round(255 * found[1]))


def test_a_published_file_needs_its_model_and_backbone(data, tmp_path):
    torch.save({"model_state_dict": published_state("sepnet_pvt-v2-b0")}, tmp_path / "SEPNet.pth")
    with pytest.raises(ModelError, match="does not say of which network; name it and, where it has one, its backbone"):
        Predictor.from_checkpoint(tmp_path / "SEPNet.pth")
    named = {"model": "sepnet", "backbone": "pvt-v2-b0", "device": "cpu"}
    predictor = Predictor.from_checkpoint(tmp_path / "SEPNet.pth", **named)
    assert predictor.size == 352
    small = Predictor.from_checkpoint(tmp_path / "SEPNet.pth", **named, size=64)
    assert small.probability(images_of(data)[0]).shape == (70, 90)


def test_without_weights_it_says_what_to_do(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STARTER_WEIGHTS", tmp_path / "sepnet-starter.pth")
    with pytest.raises(InputError, match="no starter weights at .*; give the path of a checkpoint of yours"):
        Predictor.from_checkpoint()
    monkeypatch.setattr(module, "STARTER_WEIGHTS", trained)
    assert Predictor.from_checkpoint(device="cpu").path == trained


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"runtime": "onnx"}, "the runtime 'onnx' was asked for; there are auto, torch, onnxruntime, openvino"),
        ({"amp": "bfloat16"}, "the precision 'bfloat16' was asked for; there are off, bf16"),
        ({"size": 100}, "size 100 was given; sepnet needs a multiple of 32, at least 32"),
        ({"size": 0}, "size 0 was given"),
        ({"model": "scrnet"}, "holds sepnet, and scrnet was asked for"),
        ({"backbone": "pvt-v2-b1"}, "the file says sepnet with test_resnet; the model is sepnet with pvt-v2-b1"),
    ],
)
def test_what_cannot_be_had_is_refused(trained, settings, message):
    with pytest.raises((InputError, ModelError), match=message):
        Predictor.from_checkpoint(trained, device="cpu", **settings)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((5, 6), np.uint8), r"shape \(5, 6\) and type uint8 was given; expected \(H, W, 3\) uint8"),
        (np.zeros((5, 6, 3), np.float32), "type float32 was given"),
        (np.zeros((0, 6, 3), np.uint8), r"shape \(0, 6, 3\)"),
        (["a.png"], "a str was given; expected an"),
        ("a.png", "a str was given; expected an .* or a PIL image, as PIL.Image.open reads a file"),
        (Path("a.png"), "Path was given; expected an"),
        (None, "a NoneType was given; expected an"),  # as OpenCV reads a file that is not there
        (Image.fromarray(np.full((5, 6), 70000, np.int32)), r"32-bit numbers \(mode I\) was given"),
        (Image.fromarray(np.zeros((5, 6), np.float32)), r"32-bit numbers \(mode F\) was given"),
        (Image.fromarray(np.full((5, 6), 4095, np.uint16)), "4095 is its highest value of 65535: numbers of 12 bits"),
    ],
)
def test_what_is_no_image_is_refused(trained, image, message):
    with pytest.raises(InputError, match=message):
        Predictor.from_checkpoint(trained, device="cpu").probability(image)


def test_a_picture_of_16_bits_keeps_their_upper_byte(trained):
    grey = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    predictor = Predictor.from_checkpoint(trained, device="cpu")
    expected = predictor.probability(np.repeat(grey[..., None], 3, axis=2))
    assert np.array_equal(predictor.probability(Image.fromarray(grey.astype(np.uint16) * 256 + 200)), expected)


def test_a_map_that_is_not_finite_stops(data, trained):
    predictor = Predictor.from_checkpoint(trained, device="cpu")
    with torch.no_grad():
        predictor.model.head.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match="the network's output for image 0 is not finite"):
        predictor.probability(images_of(data))
    with pytest.raises(ModelError, match="the network's output for frame 0 is not finite"):
        next(predictor.stream(images_of(data)))


@pytest.mark.parametrize("name", list_models())
def test_networks_know_the_size_that_their_recipe_trains_at(name):
    assert model_entry(name).network.train_size == recipe_for(name).config.train_size


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (None, "config whose flags are a NoneType"),
        ({"train_size": "64"}, "trained at a size of '64'"),
        ({"train_size": 10**12 + 1}, "needs a multiple of 32"),
        ({"train_size": 64, "classes": "adenoma=1"}, "its classes are 'adenoma=1'"),
        ({"train_size": 64, "classes": ["adenoma"]}, "adenoma"),
    ],
)
def test_odd_flags_in_a_checkpoint_are_refused(trained, tmp_path, flags, message):
    content = torch.load(trained, weights_only=True)
    content["config"]["flags"] = flags
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises((InputError, ModelError), match=message):
        Predictor.from_checkpoint(tmp_path / "odd.pth", device="cpu")
