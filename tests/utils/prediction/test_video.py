"""Clips to maps, videos to overlays: where they go, how many there are, and that whatever happens they play."""

import json
import os
import shutil
import signal
import threading

import cv2
import numpy as np
import pytest
import torch

import myTest
from lib import create_model
from measure.commands.score import main as measure
from measure.io.errors import InputError
from utils.data import network_input
from utils.phantom import phantom_clip, write_clips
from utils.prediction import grey_map
from utils.prediction import video as module
from utils.prediction.clips import find_clips
from utils.prediction.inputs.video_source import open_source
from utils.prediction.outputs import video_writer
from utils.prediction.outputs.video_writer import VideoWriter
from utils.prediction.streaming import stream
from utils.prediction.video import VideoOptions, predict_video
from utils.runtime.interrupts import Stopped
from utils.visualization.overlays import MAP_COLOR, draw_prediction, draw_tint

pytestmark = pytest.mark.slow

SMALL = VideoOptions(size=64)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("SUN-SEG")
    write_clips(folder, split="TestEasyDataset/Seen", cases=2, frames=6, size=(64, 80))
    write_clips(folder, split="TestHardDataset/Unseen", cases=1, frames=6, size=(70, 64))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of untrained weights by the name of their network."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for name in ("sepnet", "sali"):
        torch.save(create_model(name, backbone="pvt-v2-b0").state_dict(), folder / f"{name}.pth")
    return {name: folder / f"{name}.pth" for name in ("sepnet", "sali")}


@pytest.fixture(scope="module")
def sepnet():
    torch.manual_seed(0)
    return create_model("sepnet", backbone="pvt-v2-b0", aux=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A video file of 12 phantom frames, 96 x 64 pixels, 12.5 a second, in a form whose packets stand alone."""
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    frames, _ = phantom_clip(seed=1, frames=12, size=(64, 96))
    with VideoWriter(path, rate=12.5) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test(weights, name, *flags):
    return myTest.main(
        [
            *("--model", name, "--model_state_dict_path", str(weights[name]), "--net_backbone", "pvt-v2-b0"),
            *("--device", "cpu", "--workers", "0", "--test_size", "256" if name == "sali" else "64"),
            *map(str, flags),
        ]
    )


test.__test__ = False


def played(path):
    """(frames (T, H, W, 3) RGB, rate) of a video as a player sees it."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1][:, :, ::-1])
    return np.stack(frames), capture.get(cv2.CAP_PROP_FPS)


def break_packet(path, number):
    """Overwrite one frame of an MJPG file with zeros."""
    data = bytearray(path.read_bytes())
    start = data.index(b"movi")  # the header names the stream, too
    for _ in range(number):
        start = data.index(b"00dc", start + 1)
    length = int.from_bytes(data[start + 4 : start + 8], "little")
    data[start + 8 : start + 8 + length] = bytes(length)
    path.write_bytes(data)


def test_clips_are_found_two_levels_below_and_a_training_part_is_passed_over(root, tmp_path):
    clips = find_clips(root)
    assert list(clips) == [f"TestEasyDataset/Seen/case{n}" for n in (1, 2)] + ["TestHardDataset/Unseen/case1"]
    assert [int(stem[-4:]) for stem in clips["TestHardDataset/Unseen/case1"]] == list(range(1, 7))
    assert list(find_clips(root / "TestEasyDataset")) == ["Seen/case1", "Seen/case2"]
    assert list(find_clips(root / "TestEasyDataset" / "Seen")) == ["Seen/case1", "Seen/case2"]
    (tmp_path / "TrainDataset" / "Frame" / "case1").mkdir(parents=True)
    assert find_clips(tmp_path) == {}
    with pytest.raises(InputError, match="no folder"):
        find_clips(root / "nowhere")


@pytest.mark.parametrize("name", ["sali", "sepnet"])
def test_maps_of_clips_are_scored_by_the_vps_protocol(root, weights, tmp_path, name):
    maps, scores = tmp_path / "maps", tmp_path / "scores"
    assert test(weights, name, "--test_data_path", root, "--pred_save_path", maps, "--batch_size", 2) == 0
    stems = [path.stem for path in (root / "TestHardDataset/Unseen/Frame/case1").iterdir()]
    assert {path.stem for path in (maps / "TestHardDataset/Unseen/case1").iterdir()} == set(stems)
    assert cv2.imread(str(maps / "TestHardDataset/Unseen/case1" / f"{stems[0]}.png"), -1).shape == (70, 64)
    assert len(list(maps.rglob("*.png"))) == 18
    assert json.loads((maps / "predict.json").read_text())["images"]["TestEasyDataset/Seen/case2"] == 6
    words = ["--protocol", "vps", "--GT_root", str(root), "--pred_root", str(maps), "--out", str(scores)]
    assert measure([*words, "--no-plots", "--workers", "1"]) == 0
    datasets = json.loads((scores / "scores.json").read_text())["datasets"]
    assert set(datasets) == {"TestEasyDataset/Seen", "TestHardDataset/Unseen"}
    assert all(0 <= values["maxDice"] <= 1 for values in datasets.values())


def test_a_clip_has_the_same_maps_beside_others_and_alone(root, weights, tmp_path):
    lone = tmp_path / "lone"
    for kind in ("Frame", "GT"):
        for copy in ("case1", "case2"):  # twice the same clip: two slots, as in the run of all
            source = root / "TestEasyDataset" / "Seen" / kind / "case2"
            shutil.copytree(source, lone / "TestEasyDataset" / "Seen" / kind / copy)
    for data, out in ((root, "all"), (lone, "alone")):
        assert (
            test(weights, "sali", "--test_data_path", data, "--pred_save_path", tmp_path / out, "--batch_size", 2) == 0
        )
    alone, beside = (
        [path.read_bytes() for path in sorted((tmp_path / out / "TestEasyDataset/Seen" / case).iterdir())]
        for out, case in (("alone", "case1"), ("all", "case2"))
    )
    assert alone == beside


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm"])
def test_an_overlay_plays_at_the_size_and_rate_of_its_source(sepnet, clip, tmp_path, suffix):
    out, masks = tmp_path / "new folder" / f"out{suffix}", tmp_path / "masks"
    assert predict_video(sepnet, open_source(str(clip)), options=SMALL, device=CPU, overlay=out, masks=masks) == 12
    frames, rate = played(out)
    assert frames.shape == (12, 64, 96, 3) and rate == pytest.approx(12.5)
    assert np.abs(frames[3].astype(int) - played(clip)[0][3]).mean() < 40, "the picture is the source's"
    assert sorted(path.name for path in masks.iterdir()) == [f"frame_{n:06d}.png" for n in range(1, 13)]
    for path in masks.iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (64, 96) and set(np.unique(mask)) <= {0, 255}
    assert [path.name for path in out.parent.iterdir()] == [out.name], "no temporary file is left"


def test_masks_are_the_networks_maps_cut_at_one_half(sepnet, clip, tmp_path):
    predict_video(sepnet, open_source(str(clip)), options=SMALL, device=CPU, masks=tmp_path)
    inputs = [network_input(frame, 64) for frame in played(clip)[0]]
    for number, logits in enumerate(stream(sepnet.eval(), inputs), start=1):
        expected = grey_map(logits, (64, 96), minmax=False) >= 128
        assert np.array_equal(cv2.imread(str(tmp_path / f"frame_{number:06d}.png"), 0) > 0, expected)


def test_one_core_takes_a_frame_through_all_stages_to_the_same_maps(sepnet, clip, tmp_path, monkeypatch):
    threads = set()
    drawn = module.draw_prediction

    def watched(*args, **options):
        threads.add(threading.current_thread())
        return drawn(*args, **options)

    monkeypatch.setattr(module, "draw_prediction", watched)
    for cores in (1, 2):
        monkeypatch.setattr(module, "available_cores", lambda cores=cores: cores)
        out, maps = tmp_path / f"{cores}.mp4", tmp_path / str(cores)
        predict_video(sepnet, open_source(str(clip)), options=SMALL, device=CPU, overlay=out, maps=maps)
        assert (threading.main_thread() in threads) == (cores == 1)
        threads.clear()
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(names) == 12
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in names)


def test_a_folder_of_frames_and_a_single_image_are_sources(sepnet, root, tmp_path, capsys):
    folder = tmp_path / "frames"
    shutil.copytree(root / "TestEasyDataset" / "Seen" / "Frame" / "case1", folder)
    stems = [path.stem for path in sorted(folder.iterdir(), key=lambda path: path.stem[-4:])]
    (folder / f"{stems[2]}.jpg").write_bytes(b"no image")
    source = open_source(str(folder), rate=5)
    out = tmp_path / "out.mp4"
    assert predict_video(sepnet, source, options=SMALL, device=CPU, overlay=out, masks=tmp_path / "masks") == 5
    assert f"note: frames: skipped {stems[2]}: cannot read" in capsys.readouterr().err
    assert source.skipped == [stems[2]]
    frames, rate = played(out)
    assert len(frames) == 5 and rate == 5
    assert {path.stem for path in (tmp_path / "masks").iterdir()} == {*stems} - {stems[2]}
    image = open_source(str(folder / f"{stems[0]}.jpg"))
    assert predict_video(sepnet, image, options=SMALL, device=CPU, masks=tmp_path / "one") == 1
    assert [path.stem for path in (tmp_path / "one").iterdir()] == [stems[0]]


def test_a_list_or_a_pattern_is_a_clip_in_its_own_order(weights, root, tmp_path):
    folder = root / "TestEasyDataset" / "Seen" / "Frame" / "case1"
    images = sorted(folder.iterdir(), key=lambda path: path.stem[-4:])
    turned = [images[number] for number in (3, 0, 1)]
    (tmp_path / "names.txt").write_text("# three\n" + "".join(f"{path}\n" for path in turned))
    for given, name, expected in (
        (tmp_path / "names.txt", "names", turned),
        (folder / "*_image000[1-4].jpg", str(folder / "*_image000[1-4].jpg"), images[:4]),
    ):
        assert list(open_source(str(given)).frames.values()) == expected
        for network, out in (("sali", "out.mp4"), ("sepnet", "out.avi")):
            masks = tmp_path / network
            assert test(weights, network, "--input", given, "--overlay", tmp_path / out, "--masks", masks) == 0
            assert len(played(tmp_path / out)[0]) == len(expected)
            assert {path.stem for path in masks.glob("*.png")} == {path.stem for path in expected}
            assert json.loads((masks / "predict.json").read_text())["images"] == {name: len(expected)}
            shutil.rmtree(masks)


def test_a_list_that_is_no_clip_is_refused_by_what_is_wrong(weights, root, tmp_path, capsys):
    seen = root / "TestEasyDataset" / "Seen" / "Frame"
    (tmp_path / "case1").symlink_to(seen / "case1")
    first, *others = sorted((seen / "case1").iterdir())
    png = tmp_path / "a.png"
    cv2.imwrite(str(png), cv2.imread(str(first)))
    (tmp_path / "two.txt").write_text(f"case1/{first.name}\n{first}\n")
    (tmp_path / "video.txt").write_text("two.txt\n")
    (tmp_path / "one.txt").write_text("a.png\n")
    before = sorted(tmp_path.iterdir())
    for given, out, message in (
        ([tmp_path / "two.txt"], "out", "two.txt names images in 2 folders (case1, .), and the frames of a video lie"),
        ([seen / "*" / "*.jpg"], "out", "names images in 2 folders (case1, case2)"),
        ([tmp_path / "video.txt"], "out", "two.txt is no image that is read here"),
        ([first, others[0]], "out", "names several inputs; give one: a video, a folder of frames, a pattern"),
        ([tmp_path / "one.txt"], ".", "a.png is itself an input and would be written to"),
    ):
        assert test(weights, "sali", "--input", *given, "--masks", tmp_path / out) == 2
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1 and message in told[0], told
    assert sorted(tmp_path.iterdir()) == before


def test_a_packet_that_cannot_be_decoded_is_told_and_passed_over(sepnet, clip, tmp_path, capsys):
    damaged = tmp_path / "damaged.avi"
    shutil.copy(clip, damaged)
    break_packet(damaged, 4)
    source = open_source(str(damaged))
    assert (
        predict_video(sepnet, source, options=SMALL, device=CPU, overlay=tmp_path / "o.mp4", masks=tmp_path / "m") == 11
    )
    assert source.skipped == ["frame_000004"]
    assert "note: damaged: skipped frame_000004: it cannot be decoded" in capsys.readouterr().err
    assert len(played(tmp_path / "o.mp4")[0]) == 11
    assert not (tmp_path / "m" / "frame_000004.png").exists() and (tmp_path / "m" / "frame_000012.png").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_a_video_that_plays(sepnet, clip, tmp_path, monkeypatch, number):
    answers = module._answers

    def interrupted(*args):
        for count, answer in enumerate(answers(*args), start=1):
            if count == 5:
                os.kill(os.getpid(), number)
            yield answer

    monkeypatch.setattr(module, "_answers", interrupted)
    out = tmp_path / "out.mp4"
    with pytest.raises(Stopped, match=f"{number.name} after 5 frames; .*out.mp4 holds them and plays") as stopped:
        predict_video(sepnet, open_source(str(clip)), options=SMALL, device=CPU, overlay=out)
    assert stopped.value.status == {signal.SIGINT: 130, signal.SIGTERM: 75}[number]
    assert len(played(out)[0]) == 5


def test_a_run_that_fails_keeps_what_it_drew(sepnet, clip, tmp_path, monkeypatch):
    drawn = module.draw_prediction
    calls = []

    def failing(*args, **options):
        calls.append(1)
        if len(calls) == 4:
            raise MemoryError
        return drawn(*args, **options)

    monkeypatch.setattr(module, "draw_prediction", failing)
    with pytest.raises(MemoryError):
        predict_video(sepnet, open_source(str(clip)), options=SMALL, device=CPU, overlay=tmp_path / "out.mp4")
    assert len(played(tmp_path / "out.mp4")[0]) >= 3


def test_a_video_that_could_not_be_written_is_told(sepnet, clip, tmp_path, monkeypatch):
    class FullDisk:
        def __init__(self, path, *_):
            open(path, "wb").close()

        isOpened = write = release = lambda *_: True

    monkeypatch.setattr(video_writer, "has_h264", lambda: False)
    monkeypatch.setattr(cv2, "VideoWriter", FullDisk)
    with pytest.raises(InputError, match="cannot write .*out.mp4; free some space"):
        predict_video(sepnet, open_source(str(clip)), options=SMALL, device=CPU, overlay=tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_video_network_follows_a_video(weights, clip, tmp_path):
    masks = tmp_path / "masks"
    assert test(weights, "sali", "--input", clip, "--overlay", tmp_path / "out.mp4", "--masks", masks, "--tint") == 0
    assert played(tmp_path / "out.mp4")[0].shape == (12, 64, 96, 3)
    description = json.loads((masks / "predict.json").read_text())
    assert description["images"] == {"clip": 12} and description["test_data_path"] == str(clip)
    assert description["options"]["minmax"] is False, "a frame without a polyp stays without one"


def test_outline_tint_and_rate_are_drawn_where_they_should():
    picture = np.full((240, 320, 3), 100, np.uint8)
    grey = np.zeros((240, 320), np.uint8)
    grey[80:160, 100:220] = 200
    plain = draw_prediction(picture, grey)
    assert tuple(plain[80, 150]) == MAP_COLOR and tuple(plain[120, 150]) == (100, 100, 100)
    assert tuple(plain[20, 20]) == (100, 100, 100) and tuple(picture[80, 150]) == (100, 100, 100)
    colored = draw_prediction(picture, grey, tint=True)
    assert colored[120, 150].tolist() != [100, 100, 100] and tuple(colored[20, 20]) == (100, 100, 100)
    labelled = draw_prediction(picture, np.zeros_like(grey), rate=12.3)
    assert (labelled != picture).any() and np.array_equal(labelled[40:], picture[40:])
    assert np.array_equal(draw_prediction(picture, np.zeros_like(grey)), picture), "nothing seen, nothing drawn"


def test_the_tint_is_a_gradient_from_violet_over_green_to_yellow():
    frame, grey = np.full((2, 256, 3), 100, np.uint8), np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    colors = 2 * draw_tint(frame, grey)[0].astype(int) - 100  # where the tint has its whole opacity, one half
    violet, green, yellow = [59, 82, 139], [33, 145, 140], [253, 231, 37]  # viridis at 1/4, 1/2 and 1
    for level, color in ((64, violet), (128, green), (255, yellow)):
        assert np.abs(colors[level] - color).max() <= 6
    steps = np.abs(np.diff(colors[64:], axis=0)).sum(axis=1)
    assert (steps.cumsum() > 0).all() and steps.max() <= 12, "no jump on the way"
    assert np.array_equal(draw_tint(frame, grey)[:, 0], frame[:, 0])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input", "{clip}"], "--input was given without --overlay FILE or --masks FOLDER"),
        (["--input", "nowhere.mp4", "--overlay", "{out}.mp4"], "there is no nowhere.mp4; give a video file"),
        (["--input", "{text}", "--overlay", "{out}.mp4"], "is no video that OpenCV can read"),
        (["--input", "97", "--overlay", "{out}.mp4"], "camera 97 cannot be opened"),
        (["--input", "{clip}", "--overlay", "{out}.txt"], "is not named like a video that can be written"),
        (["--input", "{clip}", "--overlay", "{out}.mp4", "--test_size", "65"], "needs a multiple of 32"),
        (["--input", "{clip}", "--overlay", "{clip}"], "is itself an input and would be written to; choose another"),
        (["--input", "{clip.parent}", "--masks", "{clip.parent}"], "is itself an input and would be written to"),
    ],
)
def test_video_mistakes_end_in_one_line(weights, clip, tmp_path, capsys, flags, message):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    places = {"clip": clip, "out": tmp_path / "out", "text": text}
    assert test(weights, "sepnet", *(str(flag).format(**places) for flag in flags)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"], "nothing half-written"


def test_a_video_network_is_not_run_on_stills(weights, root, tmp_path, capsys):
    stills = root / "TestEasyDataset" / "Seen" / "Frame" / "case1"
    assert test(weights, "sali", "--test_data_path", stills, "--pred_save_path", tmp_path / "out") == 2
    assert "sali is a video network and" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_split_is_refused_with_a_video_network_whatever_it_names(weights, root, tmp_path, capsys):
    (tmp_path / "cases.txt").write_text("case0_1\n")
    flags = ["--test_data_path", root, "--pred_save_path", tmp_path / "maps", "--split", tmp_path / "cases.txt"]
    assert test(weights, "sali", *flags) == 2
    assert "--split was given with sali, a video network" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


def test_a_video_without_a_frame_is_refused_and_leaves_nothing(sepnet, clip, tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "1.png").write_bytes(b"")
    with pytest.raises(InputError, match="no frame of frames could be decoded"):
        predict_video(
            sepnet, open_source(str(tmp_path / "frames")), options=SMALL, device=CPU, overlay=tmp_path / "o.mp4"
        )
    assert not (tmp_path / "o.mp4").exists()
