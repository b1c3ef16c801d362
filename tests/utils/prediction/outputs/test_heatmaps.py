"""Heat maps: where they go, their size, what they show, and that scoring is not confused by them."""

import json

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import myTest
from lib import create_model, list_models
from measure.commands.score import main as measure
from utils.phantom import write_stills
from utils.prediction.inputs import field_of_view
from utils.prediction.job import test_sets
from utils.prediction.outputs.heatmaps import eigen_cam, shares_inside
from utils.visualization import draw_heat

pytestmark = pytest.mark.slow

OPTIONS = {"sepnet": {"backbone": "pvt-v2-b0"}, "scrnet": {}}
RESNET = {"backbone": "resnet18"}


def small(name):
    return create_model(name, **OPTIONS.get(name, RESNET))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    write_stills(root / "Set", count=2, seed=0, size=(70, 90))
    return root


def predict(name, data, tmp_path, *flags):
    torch.manual_seed(0)
    torch.save(small(name).state_dict(), tmp_path / "weights.pth")
    backbone = OPTIONS.get(name, RESNET).get("backbone")
    return myTest.main(
        [
            *("--model", name, "--model_state_dict_path", str(tmp_path / "weights.pth")),
            *("--test_data_path", str(data), "--pred_save_path", str(tmp_path / "maps"), "--test_size", "64"),
            *(["--net_backbone", backbone] if backbone else []),
            *("--device", "cpu", "--workers", "0", *flags),
        ]
    )


@pytest.mark.parametrize("name", list_models("image"))
def test_every_image_network_gives_two_heat_maps_an_image(name, data, tmp_path):
    assert predict(name, data, tmp_path, "--heatmap") == 0
    written = sorted(path.relative_to(tmp_path / "maps").as_posix() for path in (tmp_path / "maps").rglob("*.png"))
    heat = [f"heatmap/Set/phantom_000{n}_{kind}.png" for n in (1, 2) for kind in ("features", "probability")]
    assert written == ["Set/phantom_0001.png", "Set/phantom_0002.png", *heat]
    for path in heat:
        height, width, _ = cv2.imread(str(tmp_path / "maps" / path)).shape
        assert height == 70 and width > 90, "the image, and beside it the bar of colors"


def test_scores_do_not_see_them(data, tmp_path):
    assert predict("scrnet", data, tmp_path, "--heatmap") == 0
    scores = tmp_path / "scores"
    words = ["--GT_root", str(data), "--pred_root", str(tmp_path / "maps"), "--out", str(scores), "--no-plots"]
    assert measure(words) == 0
    assert list(json.loads((scores / "scores.json").read_text())["datasets"]) == ["Set"]


def test_dilatedsegnet_shows_its_own_explanation(data, tmp_path):
    from measure.io.images import read_rgb
    from utils.data.preprocessing import normalize, resize, to_chw

    assert predict("dilatedsegnet", data, tmp_path, "--heatmap") == 0
    model = small("dilatedsegnet").eval()
    model.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))
    image = read_rgb(data / "Set" / "images" / "phantom_0001.jpg")
    with torch.inference_mode():
        heat = model.explain(model.features(normalize(resize(to_chw(image), (64, 64))[None])))[0, 0].numpy()
    expected = draw_heat(image, heat, visible=field_of_view(image))[..., ::-1].astype(int)
    written = cv2.imread(str(tmp_path / "maps" / "heatmap" / "Set" / "phantom_0001_features.png"))
    assert np.abs(written - expected).mean() < 0.5


@pytest.mark.parametrize("name", list_models("image"))
def test_the_head_makes_the_finest_logits(name):
    model = small(name).eval()
    seen = []
    model.head.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    with torch.no_grad():
        out = model(torch.randn(1, 3, 64, 64))["out"]
    features, logits = seen[0]
    assert logits.shape[-2:] == out.shape[-2:] == features.shape[-2:]
    if name != "scrnet":  # the sum of four heads, of which this is the finest
        assert torch.equal(logits, out)


def test_eigen_cam_finds_the_direction_in_which_features_vary():
    """Features = a bump times a channel pattern, plus an offset and a little noise: the heat is the bump."""
    axis = torch.linspace(-2, 2, 24)
    bump = torch.exp(-(axis[:, None] ** 2) - axis**2)
    generator = torch.Generator().manual_seed(0)
    pattern = torch.randn(8, generator=generator)[:, None, None]
    features = 3 + pattern * bump + 0.01 * torch.randn(8, 24, 24, generator=generator)
    heat = eigen_cam(features[None].repeat(2, 1, 1, 1), torch.stack((bump, -bump))[:, None])
    expected = F.relu(bump - bump.mean())
    assert torch.allclose(heat[0, 0], expected / expected.max(), atol=0.05)
    turned = F.relu(bump.mean() - bump)
    assert torch.allclose(heat[1, 0], turned / turned.max(), atol=0.15)


def test_eigen_cam_of_constant_features_is_nothing():
    assert not eigen_cam(torch.ones(1, 4, 5, 6), torch.ones(1, 1, 5, 6)).any()


def test_tissue_stays_visible_where_heat_is_low_and_a_bar_tells_the_colors():
    image = np.full((80, 120, 3), 100, np.uint8)
    heat = np.zeros((2, 3), np.float32)
    heat[:, 2] = 1
    overlay = draw_heat(image, heat)
    assert overlay.shape[0] == 80 and overlay.shape[1] > 120
    yellow = np.array([253, 231, 37])  # viridis at 1
    assert overlay[40, 0].tolist() == [100, 100, 100]
    assert np.abs(overlay[40, 119] - (100 + yellow) / 2).max() <= 2
    bar = overlay[:, 120:]
    assert any((np.abs(bar[0].astype(int) - yellow).max(axis=1)) <= 2) and bar[:, -1].min() == 255
    hidden = draw_heat(image, heat, visible=np.zeros((80, 120), bool))
    assert (hidden[:, :120] == 100).all()


def test_the_border_is_no_field_of_view():
    image = np.zeros((120, 160, 3), np.uint8)
    cv2.ellipse(image, (80, 60), (60, 50), 0, 0, 360, (120, 90, 80), cv2.FILLED)
    image[50:70, 70:90] = 0  # a dark lumen is seen, all the same
    field = field_of_view(image)
    assert field[60, 80] and field[60, 30] and not field[5, 5] and not field[115, 155]
    assert field.mean() == pytest.approx(np.pi * 60 * 50 / (120 * 160), abs=0.05)
    assert (
        field_of_view(np.full((50, 60, 3), 90, np.uint8)).all() and field_of_view(np.zeros((50, 60, 3), np.uint8)).all()
    )


def test_the_share_of_heat_inside_a_mask_by_hand(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    mask = np.zeros((4, 4), np.uint8)
    mask[:2] = 255
    cv2.imwrite(str(tmp_path / "masks" / "a[1].png"), mask)
    heat = np.array([[3, 3, 3, 3], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], np.float32) / 3
    image = tmp_path / "images" / "a[1].jpg"
    assert shares_inside(image, {"features": heat, "probability": 0 * heat}) == {"features": pytest.approx(0.75)}
    assert shares_inside(tmp_path / "images" / "b.jpg", {"features": heat}) == {}
    assert shares_inside(tmp_path / "a[1].jpg", {"features": heat}) == {}


def test_video_networks_have_no_heat_maps(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(test_sets, "find_clips", lambda root: {"a": {}})
    torch.save(create_model("sali", backbone="pvt-v2-b0").state_dict(), tmp_path / "sali.pth")
    flags = ["--model", "sali", "--net_backbone", "pvt-v2-b0", "--model_state_dict_path", str(tmp_path / "sali.pth")]
    flags += ["--test_data_path", str(data), "--pred_save_path", str(tmp_path / "maps"), "--device", "cpu"]
    assert myTest.main([*flags, "--heatmap"]) == 2
    assert "--heatmap was given with sali, a video network" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


def test_a_split_chooses_the_images(data, tmp_path, capsys):
    (tmp_path / "test.txt").write_text("phantom_0002.jpg\n")
    assert predict("scrnet", data, tmp_path, "--split", str(tmp_path / "test.txt")) == 0
    assert [path.name for path in (tmp_path / "maps").rglob("*.png")] == ["phantom_0002.png"]
    assert json.loads((tmp_path / "maps" / "predict.json").read_text())["images"] == {"Set": 1}
    (tmp_path / "test.txt").write_text("phantom_0002\nother\n")
    assert predict("scrnet", data, tmp_path, "--split", str(tmp_path / "test.txt")) == 2
    assert "1 name is no image of" in capsys.readouterr().err
