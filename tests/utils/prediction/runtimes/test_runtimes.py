"""Exported networks say what PyTorch says; each test is skipped where a package of the extra is missing."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import myTest
from lib import list_models, model_entry
from measure.io import InputError, read_rgb
from tests.helpers.weights import untrained
from utils.__main__ import main
from utils.phantom import phantom_still, write_stills
from utils.prediction import Predictor, export_graph
from utils.prediction.network import load_network
from utils.prediction.outputs import VideoWriter
from utils.prediction.runtimes import GraphNetwork, with_runtime
from utils.prediction.runtimes.exporting import compared
from utils.prediction.runtimes.parity import Parity, compare_outputs, reference_outputs

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[4]
onnx = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))), reason="needs packages that requirements.txt names"
)
openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs packages that requirements.txt names")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return untrained("sepnet", tmp_path_factory.mktemp("weights") / "w.pth", size=64)


@pytest.fixture(scope="module")
def images():
    return [phantom_still(seed=seed, size=(70 + 10 * seed, 90))[0] for seed in range(3)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def exported(weights, images, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "w.onnx"
    told = export_graph(weights, path, images=images)
    return path, told


@onnx
@pytest.mark.parametrize("name", list_models("image"))
def test_every_image_network_is_the_same_in_onnx(name, images, tmp_path):
    size = 2 * model_entry(name).network.smallest if name != "sepnet" else 64
    size = max(64, size - size % model_entry(name).network.divisor)
    path = untrained(name, tmp_path / "w.pth", size=size)
    told = export_graph(path, tmp_path / "w.onnx", images=images, bound=1e-4)
    assert "on 3 images" in told


@onnx
def test_any_number_of_images_and_frames_of_any_size(weights, images, exported, tmp_path):
    import onnxruntime

    path, told = exported
    assert "masks at 1/2 have a Dice of 1.0000" in told
    session = onnxruntime.InferenceSession(path.read_bytes())
    assert session.run(None, {"image": np.zeros((5, 3, 64, 64), np.float32)})[0].shape == (5, 1, 16, 16)
    export_graph(weights, tmp_path / "frames.onnx", images=images, processing=True)
    session = onnxruntime.InferenceSession((tmp_path / "frames.onnx").read_bytes())
    predictor = Predictor.from_checkpoint(weights, device="cpu")
    for image in images:
        (probability,) = session.run(None, {"frames": image[None]})[0]
        assert np.abs(probability - predictor.probability(image)).max() < 0.01
    with VideoWriter(tmp_path / "clip.avi", rate=10) as writer:
        for _ in range(3):
            writer.write(images[0])
    example = ROOT / "docs" / "onnx_video.py"
    assert "torch" not in re.findall(r"^import (\w+)", example.read_text(), re.M)
    words = [tmp_path / "frames.onnx", tmp_path / "clip.avi", tmp_path / "seen.avi"]
    subprocess.run([sys.executable, str(example), *map(str, words)], check=True, timeout=120)
    assert cv2.VideoCapture(str(tmp_path / "seen.avi")).read()[1].shape == images[0].shape


def test_a_torch_program_runs_without_this_code(weights, images, tmp_path):
    scrnet = untrained("scrnet", tmp_path / "scrnet.pth", size=64)
    for processing, path in ((False, weights), (True, scrnet)):  # frames of any size take tracing longer
        told = export_graph(path, tmp_path / "w.pt2", images=images, processing=processing)
        assert "on 3 images" in told
    extra = {"polyp_segmentation": ""}
    program = torch.export.load(tmp_path / "w.pt2", extra_files=extra).module()
    assert program(torch.from_numpy(np.stack([images[0]] * 4))).shape == (4, 70, 90)
    assert json.loads(extra["polyp_segmentation"])["size"] == 64


@onnx
def test_eight_bits_are_measured_on_images_and_told_apart(weights, images, tmp_path):
    told = export_graph(weights, tmp_path / "int8.onnx", images=images, int8=True, bound=0.2)
    assert "on average" in told
    found = Predictor.from_checkpoint(tmp_path / "int8.onnx", device="cpu", runtime="onnxruntime")
    assert found.model.config.precision == "int8" and found.probability(images[0]).shape == (70, 90)
    import onnx

    nodes = onnx.load_model(str(tmp_path / "int8.onnx")).graph.node
    made_by = {output: node for node in nodes for output in node.output}
    before_activations = [made_by[node.input[0]] for node in nodes if node.op_type in ("Relu", "Clip")]
    for node in before_activations:  # a range in front of an activation spends its steps on what that cuts off
        if node.op_type == "DequantizeLinear":
            assert made_by[made_by[node.input[0]].input[0]].op_type != "Conv"


def test_an_export_that_differs_is_refused(weights):
    graph = GraphNetwork(load_network(weights).model, 64, processing=False)
    inputs = [np.zeros((1, 3, 64, 64), np.float32)]
    (reference,) = reference_outputs(graph, inputs)
    told = compared(graph, lambda x: np.repeat(reference, len(x), 0), inputs, None, int8=False)
    assert told.startswith("probabilities differ from PyTorch's by at most 0,")
    with pytest.raises(InputError, match="the export was not kept: probabilities differ .* the greatest may be 0.001"):
        compared(graph, lambda x: np.repeat(reference, len(x), 0) + 1, inputs, None, int8=False)
    with pytest.raises(InputError, match="the export was not kept: it takes no two images at once"):
        compared(graph, lambda x: reference, inputs, None, int8=False)


def test_an_export_with_processing_may_round_images_to_the_other_side(weights):
    graph = GraphNetwork(load_network(weights).model, 64, processing=True)
    inputs = [np.zeros((1, 70, 90, 3), np.uint8)]
    (reference,) = reference_outputs(graph, inputs)
    compared(graph, lambda x: np.repeat(reference, len(x), 0) + np.float32(0.009), inputs, None, int8=False)
    with pytest.raises(InputError, match="the greatest may be 0.01,"):
        compared(graph, lambda x: np.repeat(reference, len(x), 0) + np.float32(0.011), inputs, None, int8=False)


def test_parity_by_hand():
    outputs = {0: np.array([[0.2, 0.8]]), 1: np.array([[0.6, 0.8]])}
    inputs = [np.array([0]), np.array([1])]
    reference = [np.array([[0.3, 0.8]]), np.array([[0.4, 0.8]])]
    found = compare_outputs(lambda x: outputs[int(x[0])], inputs, reference, logits=False)
    assert found == Parity(pytest.approx(0.2), pytest.approx((0.05 + 0.1) / 2), pytest.approx((1 + 2 / 3) / 2), 2)


@onnx
def test_a_file_says_what_it_is_and_is_weights_for_prediction(weights, images, exported, tmp_path, capsys):
    path, _ = exported
    write_stills(tmp_path / "set", count=2, seed=0, size=(70, 90))
    maps = {}
    for name, given in (("onnx", path), ("torch", weights)):
        flags = [
            "--model_state_dict_path",
            given,
            "--test_data_path",
            tmp_path / "set",
            "--workers",
            0,
            "--device",
            "cpu",
        ]
        runtime = ["--runtime", "onnxruntime" if name == "onnx" else "torch"]
        words = [*flags, *runtime, "--no-minmax", "--pred_save_path", tmp_path / name]
        assert myTest.main([str(word) for word in words]) == 0
        maps[name] = cv2.imread(str(tmp_path / name / "set" / "phantom_0001.png"), -1).astype(int)
    assert np.abs(maps["onnx"] - maps["torch"]).max() <= 1
    record = json.loads((tmp_path / "onnx" / "predict.json").read_text())
    assert record["runtime"].startswith("onnxruntime ") and record["model"]["name"] == "sepnet"
    words = ["--model_state_dict_path", path, "--input", tmp_path / "set", "--pred_save_path", tmp_path / "x"]
    for more, message in (
        (["--runtime", "torch"], "is an ONNX file, for onnxruntime or openvino; take its .pth for torch"),
        (["--test_size", "96"], "was exported at 64 pixels and 96 were asked for; export it again"),
        (["--heatmap"], "--heatmap was given with a network outside torch"),
        (["--scales", "0.5", "1"], "--scales was given with"),
    ):
        assert myTest.main([str(word) for word in [*words, *more]]) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "other.onnx").write_bytes(b"none")
    assert myTest.main(["--model_state_dict_path", str(tmp_path / "other.onnx"), *map(str, words[2:])]) == 2
    assert "is damaged or no ONNX file; export it again" in capsys.readouterr().err


@openvino
def test_several_threads_may_ask_openvino(weights, images):
    found = Predictor.from_checkpoint(weights, device="cpu", runtime="openvino")
    alone = [found.probability(image) for image in images]
    with ThreadPoolExecutor(3) as pool:
        for probability, expected in zip(pool.map(found.probability, 4 * images), 4 * alone, strict=True):
            assert np.array_equal(probability, expected)


@openvino
def test_openvino_agrees_and_is_converted_once(weights, images, tmp_path, capsys):
    cpu = torch.device("cpu")
    reference = Predictor.from_checkpoint(weights, device="cpu")
    found = Predictor.from_checkpoint(weights, device="cpu", runtime="openvino")
    assert "is made ready for openvino, once" in capsys.readouterr().err
    for image in images:
        assert np.abs(found.probability(image) - reference.probability(image)).max() < 1e-4
    again = with_runtime(load_network(weights), "openvino", cpu)
    assert capsys.readouterr().err == "" and again.model.config.runtime.startswith("openvino ")
    auto = (with_runtime(load_network(weights), "auto", cpu, many=many).model for many in (True, False))
    assert [type(model).__name__ for model in auto] == ["OpenVINONetwork", "SEPNet"]


@openvino
def test_half_a_converted_network_is_not_kept(weights, images, tmp_path, monkeypatch):
    import openvino

    def full_disk(model, path, **options):
        path.write_text("<half")
        raise RuntimeError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(openvino, "save_model", full_disk)
        first = Predictor.from_checkpoint(weights, device="cpu", runtime="openvino").probability(images[0])
    assert not list((tmp_path / "cache").rglob("*.xml"))
    again = Predictor.from_checkpoint(weights, device="cpu", runtime="openvino")
    assert np.array_equal(again.probability(images[0]), first)
    assert sorted(path.suffix for path in (tmp_path / "cache").rglob("*.*")) == [".bin", ".xml"]


@openvino
@onnx
def test_openvino_runs_exported_files_and_averages(exported, images, tmp_path):
    path, _ = exported
    again = shutil.copy(path, tmp_path / "again.onnx")
    found = Predictor.from_checkpoint([path, again], device="cpu", runtime="openvino").predict(images[0])
    alone = Predictor.from_checkpoint(path, device="cpu", runtime="onnxruntime").probability(images[0])
    assert np.abs(found.probability - alone).max() < 1e-4 and found.uncertainty.max() < 1e-4


def test_video_networks_and_missing_packages_are_refused(weights, tmp_path, monkeypatch, capsys):
    video = untrained("sali", tmp_path / "sali.pth", size=256)
    with pytest.raises(InputError, match="is of sali, a video network; it is exported as .onnx"):
        export_graph(video, tmp_path / "a.pt2", images=[])
    with monkeypatch.context() as installed:
        installed.setattr("utils.prediction.runtimes.names.find_spec", lambda name: name)
        with pytest.raises(InputError, match="sali is a video network, whose .pth runs in torch alone"):
            Predictor.from_checkpoint(video, device="cpu", runtime="openvino")
    monkeypatch.setattr("utils.prediction.runtimes.names.find_spec", lambda name: None)
    with pytest.raises(InputError, match="--runtime openvino needs openvino, not installed here; pip install openvino"):
        Predictor.from_checkpoint(weights, device="cpu", runtime="openvino")
    with pytest.raises(InputError, match="an export to ONNX needs onnx and onnxscript and onnxruntime"):
        export_graph(weights, tmp_path / "a.onnx", images=[])
    assert Predictor.from_checkpoint(weights, device="cpu").model.name == "sepnet"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out", "a.txt"], "--out a.txt was given; weights are written as .pth, .onnx, .pt2"),
        (["--out", "a.pth", "--int8"], "--int8 was given with --out a.pth, where it means nothing"),
        (["--out", "a.pth", "--processing"], "--processing was given with --out a.pth"),
        (["--out", "a.pt2", "--int8", "--images", "x"], "--int8 was given with --out a.pt2"),
        (["--out", "a.onnx", "--count", "9"], "--count 9 was given without --images, where it means nothing"),
        (["--out", "a.onnx", "--no-half"], "--no-half was given with --out a.onnx, which is never in half precision"),
        (["--out", "a.onnx", "--int8"], "--int8 was given without --images; its ranges are measured"),
        (["--out", "a.onnx", "--int8", "--processing", "--images", "x"], "--int8 and --processing were given"),
    ],
)
def test_flags_of_export_that_do_not_go_together(flags, message, capsys):
    assert main(["export", "--weights", "w.pth", *flags]) == 2
    assert message in capsys.readouterr().err


@onnx
def test_the_verb_writes_and_tells(weights, tmp_path, capsys):
    write_stills(tmp_path / "set", count=3, seed=0, size=(70, 90))
    flags = ["--weights", weights, "--out", tmp_path / "new" / "w.onnx", "--images", tmp_path / "set", "--count", 2]
    assert main(["export", *map(str, flags)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{tmp_path}/new/w.onnx: ") and "on 2 images" in told
    assert read_rgb(next((tmp_path / "set" / "images").iterdir())).shape == (70, 90, 3)
