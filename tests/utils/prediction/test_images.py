"""Prediction maps: where they go, their size and range, and what they are when weights are published ones."""

import json

import cv2
import numpy as np
import pytest
import torch

import myTest
from lib import create_model, load_weights
from measure.io.errors import InputError
from measure.io.images import read_rgb
from measure.metrics.scores import pair_scores
from tests.helpers.golden import published_state
from utils.data.preprocessing import normalize, resize, to_chw
from utils.evaluation.soft_scores import soft_scores
from utils.phantom import write_stills
from utils.prediction.images import find_sets
from utils.prediction.postprocess import as_grey, probability_map


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint in the published naming, made from the golden weights."""
    path = tmp_path_factory.mktemp("weights") / "SEPNet.pth"
    torch.save({"epoch": 100, "model_state_dict": published_state("sepnet_pvt-v2-b0")}, path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    write_stills(root / "First", count=3, seed=0, size=(70, 90))
    write_stills(root / "Second set", count=2, seed=1, size=(64, 100))
    return root


def predict(weights, data, out, *flags):
    return myTest.main(
        [
            *("--model_state_dict_path", str(weights), "--test_data_path", str(data), "--pred_save_path", str(out)),
            *("--net_backbone", "pvt-v2-b0", "--test_size", "64", "--batch_size", "2"),
            *("--device", "cpu", "--workers", "0", *flags),
        ]
    )


def grey(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_every_image_of_every_set_gets_a_map_of_its_own_size(weights, data, tmp_path):
    assert predict(weights, data, tmp_path) == 0
    maps = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert maps == [
        *(f"First/phantom_000{n}.png" for n in (1, 2, 3)),
        *(f"Second set/phantom_000{n}.png" for n in (1, 2)),
    ]
    assert grey(tmp_path / "First" / "phantom_0001.png").shape == (70, 90)
    assert grey(tmp_path / "Second set" / "phantom_0002.png").shape == (64, 100)
    description = json.loads((tmp_path / "predict.json").read_text())
    assert description["images"] == {"First": 3, "Second set": 2}
    assert description["options"]["minmax"] is True and description["options"]["size"] == 64


@pytest.mark.slow
@pytest.mark.parametrize("minmax", [True, False])
def test_maps_are_the_published_networks_probabilities(weights, data, tmp_path, minmax):
    predict(weights, data / "First", tmp_path, "--minmax" if minmax else "--no-minmax")
    model = create_model("sepnet", backbone="pvt-v2-b0").eval()
    load_weights(model, published_state("sepnet_pvt-v2-b0"))
    image = read_rgb(data / "First" / "images" / "phantom_0002.jpg")
    with torch.no_grad():
        logits = model(normalize(resize(to_chw(image), (64, 64))[None]))["out"]
    logits = torch.nn.functional.interpolate(logits, size=(70, 90), mode="bilinear", align_corners=False)
    expected = logits.sigmoid()[0, 0].numpy()
    if minmax:
        expected = (expected - expected.min()) / (expected.max() - expected.min())
    written = grey(tmp_path / "First" / "phantom_0002.png")
    assert np.abs(written - 255 * expected).max() < 0.51
    assert not minmax or (written.min(), written.max()) == (0, 255)


def test_one_set_and_a_plain_folder_are_found(data, tmp_path):
    assert list(find_sets(data / "First")) == ["First"]
    assert list(find_sets(data / "First" / "images")) == ["First"], "named as scoring names it"
    with pytest.raises(InputError, match="no images under"):
        find_sets(tmp_path)


def test_existing_maps_are_replaced(weights, data, tmp_path):
    (tmp_path / "First").mkdir()
    (tmp_path / "First" / "phantom_0001.png").write_bytes(b"an old map")
    (tmp_path / "First" / ".phantom_0002.999999999.partial.png").write_bytes(b"what a killed run had begun")
    assert predict(weights, data / "First", tmp_path) == 0
    assert grey(tmp_path / "First" / "phantom_0001.png").shape == (70, 90)
    assert not [path for path in tmp_path.rglob("*partial*")]


def test_a_constant_map_stays_as_it_is():
    constant = probability_map(torch.zeros(1, 4, 4), (8, 8), minmax=True)
    assert torch.equal(constant, torch.full((8, 8), 0.5))


def test_soft_scores_by_hand():
    probability = torch.tensor([[1.0, 0.5], [0.0, 0.0]])
    mask = torch.tensor([[1, 0], [1, 0]])
    scores = {name: value.item() for name, value in soft_scores(probability, mask).items()}
    assert scores == pytest.approx({"Dice": (2 * 1 + 1) / (1.5 + 2 + 1), "IoU": 2 / (3.5 - 1 + 1), "MAE": 1.5 / 4})


def test_soft_scores_are_those_of_measure():
    rng = np.random.default_rng(0)
    map_, mask = (
        rng.integers(30, 200, size=(20, 30), dtype=np.uint8),
        255 * (rng.random((20, 30)) > 0.6).astype(np.uint8),
    )
    expected = pair_scores(map_, mask).numbers
    logits = torch.logit(torch.from_numpy(map_)[None].double() / 255)
    probability = probability_map(logits, (20, 30), minmax=True)
    for name, value in soft_scores(probability, torch.from_numpy(mask) > 128).items():
        assert value.item() == pytest.approx(expected[name], abs=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("amp", ["off", "bf16", "fp16"])
def test_cuda_maps_agree_with_cpu_maps(weights, data, tmp_path, amp):
    predict(weights, data / "First", tmp_path / "cpu")
    predict(weights, data / "First", tmp_path / "cuda", "--device", "cuda", "--amp", amp)
    for path in (tmp_path / "cpu").rglob("*.png"):
        other = grey(tmp_path / "cuda" / path.relative_to(tmp_path / "cpu"))
        assert np.abs(grey(path).astype(int) - other).max() <= (2 if amp == "off" else 25)


def test_maps_are_rounded_to_the_nearest_level_and_halves_to_the_even_one():
    levels = torch.arange(0, 255.01, 0.25).repeat(4, 1) / 255  # 0.5 and 2.5 among them, as near as float32 comes
    halves = torch.tensor([[0.5, 1.5, 2.5, 254.5]]) / 255
    assert np.array_equal(as_grey(levels), (255 * levels).round().numpy())
    assert as_grey(halves).tolist() == (255 * halves).round().tolist()
