"""Videos out: H.264 and the frames' own times where PyAV is installed, else what OpenCV writes and a note."""

import cv2
import numpy as np
import pytest

from utils.prediction.inputs.video_source import open_source
from utils.prediction.outputs import video_writer as module
from utils.prediction.outputs.video_writer import VideoWriter

VARYING = [0.0, 0.04, 0.08, 0.2, 0.24, 0.5, 0.52, 0.56]  # seconds


def picture(number, size=(64, 96)):
    return np.full((*size, 3), 20 + 10 * number, np.uint8)


def written(path, times, *, rate=25.0, size=(64, 96)):
    with VideoWriter(path, rate=rate) as writer:
        for number, time in enumerate(times):
            writer.write(picture(number, size), time=time)
    return path


def read(path):
    return list(open_source(str(path)))


@pytest.fixture
def without_pyav(monkeypatch):
    monkeypatch.setattr(module, "has_h264", lambda: False)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_with_pyav_a_video_is_h264_that_browsers_play(tmp_path, suffix, capsys):
    av = pytest.importorskip("av")
    path = written(tmp_path / f"out{suffix}", [None] * 6, rate=12.5, size=(65, 97))
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (96, 64), "codecs take even sizes"
        assert float(stream.average_rate) == pytest.approx(12.5)
        assert [round(float(frame.time), 3) for frame in container.decode(stream)] == [0, 0.08, 0.16, 0.24, 0.32, 0.4]
    for number, frame in enumerate(read(path)):
        assert np.abs(frame.image.astype(int) - picture(number)[:64, :96]).max() <= 4
    assert capsys.readouterr().err == ""
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_with_pyav_frames_keep_their_times_and_a_note_tells(tmp_path, suffix, capsys):
    pytest.importorskip("av")
    first = written(tmp_path / f"first{suffix}", VARYING)
    assert [round(frame.time, 3) for frame in read(first)] == VARYING
    frames = read(first)
    capsys.readouterr()
    copy = written(tmp_path / f"copy{suffix}", [frame.time for frame in frames], rate=open_source(str(first)).rate)
    assert [round(frame.time, 3) for frame in read(copy)] == VARYING
    assert capsys.readouterr().err == f"note: {copy} has frames at varying intervals; each keeps its time\n"


def test_an_estimated_number_of_frames_loses_none_at_the_end(tmp_path, capsys):
    """A .mkv does not list its frames: OpenCV reckons 15 from length and rate, and 8 are there."""
    pytest.importorskip("av")
    source = open_source(str(written(tmp_path / "out.mkv", VARYING)))
    capsys.readouterr()
    assert source.count > len(VARYING) == len(list(source))
    assert source.skipped == [] and capsys.readouterr().err == ""


def test_with_pyav_a_time_that_repeats_is_moved_on(tmp_path):
    pytest.importorskip("av")
    times = [frame.time for frame in read(written(tmp_path / "out.mp4", [0.0, 0.0, 0.04, 0.02, 0.08]))]
    assert times == sorted(set(times)) and len(times) == 5


def test_without_pyav_a_note_says_what_is_written_and_what_to_do(tmp_path, without_pyav, capsys):
    path = written(tmp_path / "out.mp4", [None] * 3)
    assert len(read(path)) == 3
    note = f"note: {path} is MPEG-4 part 2, which browsers do not play: pip install av for H.264, or name it .webm\n"
    assert capsys.readouterr().err == note
    written(tmp_path / "out.webm", [None] * 3)
    assert capsys.readouterr().err == ""


def test_without_pyav_varying_intervals_are_told_once(tmp_path, without_pyav, capsys):
    path = written(tmp_path / "out.webm", VARYING)
    note = f"note: {path} shows frames of varying intervals at 25 a second: to keep their times, pip install av and"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(note)


@pytest.mark.parametrize(
    "times",
    [
        [number / 29.97 for number in range(9)],
        [round(number / 29.97, 3) for number in range(9)],  # containers that count in milliseconds
        [number / 29.97 for number in (0, 1, 2, 5, 6)],  # frames that could not be decoded
    ],
)
def test_a_steady_rate_is_called_steady(tmp_path, capsys, times):
    written(tmp_path / "out.avi", times, rate=29.97)
    assert capsys.readouterr().err == ""


def test_frames_of_a_video_have_times_unless_a_rate_is_given(tmp_path):
    path = written(tmp_path / "out.avi", [None] * 4, rate=12.5)
    assert [frame.time for frame in read(path)] == pytest.approx([0, 0.08, 0.16, 0.24])
    source = open_source(str(path), rate=5)
    assert source.rate == 5 and {frame.time for frame in source} == {None}
    cv2.imwrite(str(tmp_path / "1.png"), picture(0))
    assert [frame.time for frame in open_source(str(tmp_path / "1.png"))] == [None]
