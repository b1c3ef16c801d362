"""A step of a video network with its memory in tensors gives what `step` gives: in PyTorch, and exported."""

import contextlib
import hashlib
import io
import json
import re
import shutil
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import myTest
from lib import create_model
from measure.io import InputError
from tests.helpers.weights import untrained
from utils.__main__ import main
from utils.phantom import phantom_clip
from utils.prediction import Predictor, export_graph
from utils.prediction.network import TrainedNetwork
from utils.prediction.outputs import VideoWriter
from utils.prediction.runtimes import read_facts
from utils.prediction.runtimes.clip_exporting import compared, neighbors
from utils.prediction.runtimes.clip_graphs import LEVELS, EncodeGraph, StepGraph

pytestmark = pytest.mark.slow
SIZE = 256
DOCS = Path(__file__).parents[4] / "docs"
onnx = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))), reason="needs packages that requirements.txt names"
)


def network(name, **options):
    """An untrained network whose every part says something: what starts at 0 does not stay there."""
    torch.manual_seed(0)
    model = create_model(name, backbone="pvt-v2-b0", pretrained=False, **options).eval()
    for parameter in model.parameters():
        if not parameter.any():
            parameter.data.normal_(0, 0.02)
    return model


def clip(count):
    frames, _ = phantom_clip(seed=0, frames=6, size=(SIZE, SIZE))
    arrays = (np.asarray(frame, np.float32).transpose(2, 0, 1)[None] for frame in frames[:count])
    return [torch.from_numpy(array / 127.5 - 1) for array in arrays]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sali", {"memory_frames": 2}),
        ("sali", {"memory_frames": 2, "protect_newest": True}),
        ("lsinet", {"memory_frames": 1, "memory_top_k": 5}),
    ],
)
@torch.inference_mode()
def test_the_step_of_tensors_is_the_step(name, options):
    model = network(name, **options)
    encode, step = EncodeGraph(model, SIZE), StepGraph(model, SIZE)
    frames = clip(6)
    encodings = [encode(frame) for frame in frames]
    rows, memory = [torch.zeros(0, 22) for _ in LEVELS], None
    for number, following in enumerate(neighbors(len(frames))):
        write = number != 1
        expected, memory = model.step(frames[number], frames[following], memory, write=write)
        logits, *rows = step(*encodings[number], *encodings[following], *rows, torch.tensor(write))
        torch.testing.assert_close(logits, expected["out"], rtol=1e-4, atol=1e-4)
        assert [len(level) for level in rows] == list(memory.sizes[0])
        for level, bank in zip(rows, memory.clips[0], strict=True):
            torch.testing.assert_close(level[:, :4], bank.keys, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(level[:, 4:-2], bank.values, rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(level[:, -2], bank.usage, rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(level[:, -1], bank.life)
    assert memory.sizes[0][0] < 6 * (SIZE // 8) ** 2, "the clip is long enough for the memory to be trimmed"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with sali.pth, sali.encode.onnx, sali.step.onnx, lsinet.pth, ..., and what the verb told of each."""
    folder, told = tmp_path_factory.mktemp("exported"), {}
    for name in ("sali", "lsinet"):
        weights, out = untrained(name, folder / f"{name}.pth", size=SIZE), folder / f"{name}.onnx"
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert main(["export", "--weights", str(weights), "--out", str(out), "--bound", "1e-4"]) == 0
        told[name] = printed.getvalue()
    return folder, told


@onnx
@pytest.mark.parametrize("name", ["sali", "lsinet"])
def test_both_files_are_compared_over_a_clip(name, exported):
    folder, told = exported
    assert f"{name}.encode.onnx of " in told[name] and "over a clip of 4 frames" in told[name]
    facts = read_facts(folder / f"{name}.step.onnx")
    assert (facts["model"], facts["part"], facts["size"], facts["write_every"]) == (name, "step", SIZE, 5)
    assert facts["weights_sha256"] == hashlib.sha256((folder / f"{name}.pth").read_bytes()).hexdigest()


def frames_of(path):
    """The frames of a video file, RGB."""
    video, frames = cv2.VideoCapture(str(path)), []
    while (decoded := video.read())[0]:
        frames.append(decoded[1][:, :, ::-1])
    return frames


def grey_levels(folder):
    """The maps of a folder, by their place in it."""
    return {path.relative_to(folder): cv2.imread(str(path), 0).astype(int) for path in sorted(folder.rglob("*.png"))}


@onnx
@pytest.mark.parametrize("given", [["lsinet.encode"], ["lsinet.step"], ["lsinet.step", "lsinet.encode"]])
def test_both_files_predict_as_the_weights_that_they_were_made_of(given, exported):
    folder, _ = exported
    frames = [np.asarray(frame) for frame in phantom_clip(seed=1, frames=7, size=(270, 300))[0]]
    pair = Predictor.from_checkpoint([folder / f"{name}.onnx" for name in given], device="cpu")
    assert pair.model.config.runtime.startswith("onnxruntime ")
    expected = Predictor.from_checkpoint(folder / "lsinet.pth", device="cpu").stream(frames)
    for found, probability in zip(pair.stream(frames), expected, strict=True):
        assert np.abs(found - probability).max() < 1e-3 < np.ptp(probability)


@onnx
def test_my_test_writes_the_maps_of_pytorch_with_both_files(exported, tmp_path):
    """Clips of different length side by side, and a video; every map within a grey level of PyTorch's."""
    folder, _ = exported
    for case, count in (("short", 1), ("long", 6), ("middle", 3)):
        (place := tmp_path / "data" / "TestSet" / "Frame" / case).mkdir(parents=True)
        for number, frame in enumerate(phantom_clip(seed=count, frames=6, size=(270, 300))[0][:count]):
            cv2.imwrite(str(place / f"{number}.png"), frame)
    write_video(tmp_path / "clip.avi", 4)
    for name in ("sali.pth", "sali.encode.onnx"):
        common = ["--device", "cpu", "--model_state_dict_path", str(folder / name), "--no-minmax", "--batch_size", "2"]
        out = tmp_path / name
        clips = ["--test_data_path", str(tmp_path / "data"), "--pred_save_path", str(out / "clips")]
        assert myTest.main([*common, *clips]) == 0
        video = ["--input", str(tmp_path / "clip.avi"), "--pred_save_path", str(out / "video")]
        assert myTest.main([*common, *video]) == 0
    expected, found = grey_levels(tmp_path / "sali.pth"), grey_levels(tmp_path / "sali.encode.onnx")
    assert expected.keys() == found.keys() and len(found) == 10 + 4
    assert all(np.abs(found[name] - expected[name]).max() <= 1 < np.ptp(expected[name]) for name in found)
    record = json.loads((tmp_path / "sali.encode.onnx" / "video" / "predict.json").read_text())
    assert record["runtime"].startswith("onnxruntime ") and record["model"]["name"] == "sali"
    assert record["weights"] == str(folder / "sali.encode.onnx")


@onnx
def test_files_that_are_no_pair_are_refused(exported, tmp_path, capsys):
    folder, _ = exported
    encode, step, clip = tmp_path / "net.encode.onnx", tmp_path / "net.step.onnx", tmp_path / "clip.avi"

    def refused(given, *flags):
        words = ["--device", "cpu", "--model_state_dict_path", str(given), *flags, "--input", str(clip)]
        assert myTest.main([*words, "--pred_save_path", str(tmp_path / "maps")]) == 2
        assert not (tmp_path / "maps").exists()
        return capsys.readouterr().err

    write_video(clip, 1)
    shutil.copy(folder / "sali.encode.onnx", encode)
    assert f"{encode} is a part of a video network and {step} is missing; put both into one folder" in refused(encode)
    shutil.copy(folder / "lsinet.step.onnx", step)
    for given in (encode, step):
        assert f"{encode} and {step} are not the encode and the step of one network; export both" in refused(given)
    step.write_bytes(step.read_bytes()[:-100_000])
    assert f"{step} is damaged or no ONNX file; export it again" in refused(encode)
    shutil.copy(folder / "sali.step.onnx", step)
    assert "was exported at 256 pixels and 352 were asked for; export it again" in refused(encode, "--test_size", "352")
    assert f"{encode} is an ONNX file, for onnxruntime or openvino" in refused(encode, "--runtime", "torch")
    assert "a video network; only networks of still images are averaged" in refused(encode, "--flips")
    if find_spec("openvino"):
        expected = f"{encode} is of a video network, which runs in onnxruntime; leave --runtime out"
        assert expected in refused(encode, "--runtime", "openvino")
    encode.rename(renamed := tmp_path / "renamed.onnx")
    assert f"{renamed} is a part of a video network under another name" in refused(renamed)


def write_video(path, count):
    with VideoWriter(path, rate=10) as writer:
        for frame in phantom_clip(seed=0, frames=7, size=(270, 300))[0][:count]:
            writer.write(np.asarray(frame))


def example(name="onnx_video_network"):
    """A script in docs/ as a module."""
    code = (DOCS / f"{name}.py").read_text(encoding="utf-8")
    assert not {"torch", "utils", "lib"} & set(re.findall(r"^(?:import|from) (\w+)", code, re.M))
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    spec.loader.exec_module(module := module_from_spec(spec))
    return module


@onnx
@pytest.mark.parametrize("count", [1, 7])
def test_the_example_without_torch_sees_what_pytorch_sees(count, exported, tmp_path, monkeypatch):
    folder, _ = exported
    write_video(tmp_path / "clip.avi", count)
    frames, resized, resize = frames_of(tmp_path / "clip.avi"), [], cv2.resize
    files = [folder / "sali.encode.onnx", folder / "sali.step.onnx", tmp_path / "clip.avi", tmp_path / "seen.avi"]
    with monkeypatch.context() as patched:
        patched.setattr(cv2, "resize", lambda *given: resized.append(resize(*given)) or resized[-1])
        example().main(*map(str, files))
    probabilities = Predictor.from_checkpoint(folder / "sali.pth", device="cpu").stream(frames)
    for logits, probability in zip(resized, probabilities, strict=True):
        assert np.abs(1 / (1 + np.exp(-logits)) - probability).max() < 1e-3 < np.ptp(probability)
    assert [frame.shape for frame in frames_of(tmp_path / "seen.avi")] == [(270, 300, 3)] * count


@onnx
def test_the_example_takes_two_parts_of_one_network_and_a_video(exported, tmp_path):
    folder, _ = exported
    write_video(tmp_path / "clip.avi", 2)
    names = ("sali.encode", "sali.step", "lsinet.step")
    encode, step, of_other_network = (folder / f"{name}.onnx" for name in names)
    of_other_weights = tmp_path / "other.onnx"
    weights = read_facts(step)["weights_sha256"].encode()
    of_other_weights.write_bytes(step.read_bytes().replace(weights, weights[::-1]))
    run, clip, out = example().main, tmp_path / "clip.avi", tmp_path / "seen.avi"
    for pair in [(encode, of_other_network), (encode, of_other_weights), (step, encode), (step, step)]:
        with pytest.raises(SystemExit, match="are not the encode and the step of one network; export both together"):
            run(*map(str, (*pair, clip, out)))
    with pytest.raises(SystemExit, match="nowhere/seen.avi cannot be written; name an .avi in a folder that is there"):
        run(*map(str, (encode, step, clip, tmp_path / "nowhere" / "seen.avi")))
    clip.write_bytes(b"")
    with pytest.raises(SystemExit, match="holds no frame that can be decoded"):
        run(*map(str, (encode, step, clip, out)))
    assert not out.exists()


@onnx
@pytest.mark.parametrize("name", ["onnx_video", "onnx_video_network"])
def test_the_examples_take_files_of_onnx(name, tmp_path):
    open_network = example(name).open_network
    with pytest.raises(SystemExit, match="missing.onnx is no file; write it with python -m utils export"):
        open_network(str(tmp_path / "missing.onnx"))
    (damaged := tmp_path / "damaged.onnx").write_bytes(b"\x08\x0a\x12")
    with pytest.raises(SystemExit, match="damaged.onnx is damaged or no ONNX file; export it again"):
        open_network(str(damaged))


@torch.inference_mode()
def test_a_clip_that_differs_is_refused():
    model = network("sali")
    frames = [frame.numpy() for frame in clip(2)]
    trained = TrainedNetwork(model, None, SIZE)
    zeros = [np.zeros((1, 1, SIZE, SIZE), np.float32) + 50] * 2
    with pytest.raises(InputError, match="the export was not kept: .* over a clip of 2 frames; the greatest may be"):
        compared(trained, zeros, frames, 1e-3)


@onnx
def test_single_pixels_may_differ_by_a_hundredth_unless_a_bound_is_given(tmp_path, monkeypatch):
    asked, weights = [], untrained("sali", tmp_path / "w.pth", size=SIZE)
    written = "utils.prediction.runtimes.exporting.export_clip_graphs"
    monkeypatch.setattr(written, lambda network, out, *, frames, bound: asked.append(bound) or "")
    for bound in (None, 1e-4):
        export_graph(weights, tmp_path / "w.onnx", images=[], bound=bound)
    assert asked == [0.01, 1e-4]


def test_networks_without_a_step_and_too_small_inputs():
    with pytest.raises(InputError, match="this sali has no memory"):
        StepGraph(network("sali", temporal=False), SIZE)
    with pytest.raises(InputError, match="a pixel reads 100 entries and at 256 pixels"):
        StepGraph(network("sali", memory_top_k=100), SIZE)


@pytest.mark.parametrize("flags", [[], ["--processing"]])
def test_what_video_networks_cannot_be_exported_as(flags, tmp_path, capsys):
    weights = untrained("sali", tmp_path / "w.pth", size=SIZE)
    assert main(["export", "--weights", str(weights), "--out", str(tmp_path / "net.pt2"), *flags]) == 2
    assert "is of sali, a video network; it is exported as .onnx, in float32" in capsys.readouterr().err
    assert not list(tmp_path.glob("net*"))
