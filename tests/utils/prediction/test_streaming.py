"""Streams of frames: what stepping by hand gives, in any slot, with one encoding a frame and nothing left over."""

import threading
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from lib import Encoding, create_model
from utils.prediction.streaming import Arrival, VideoSlots, stream, stream_clips
from utils.runtime.background import in_background, prefetch

pytestmark = pytest.mark.slow


def clip(count: int, *, seed: int = 0) -> list[Tensor]:
    return list(torch.randn(count, 3, 256, 256, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture(scope="module")
def sali():
    torch.manual_seed(0)
    return create_model("sali", backbone="pvt-v2-b0", memory_frames=2).eval()


def run(model, clips, slots):
    """{clip: [logits]}."""
    answers = {name: [] for name in clips}
    tagged = [[((name, time), frame) for time, frame in enumerate(frames)] for name, frames in clips.items()]
    for (name, time), logits in stream_clips(model, tagged, slots=slots, write_every=2):
        assert time == len(answers[name]), "frames of a clip come in order"
        answers[name].append(logits)
    return answers


@torch.inference_mode()
def by_hand(model, frames, *, every):
    memory, outputs = None, []
    batch = [frame[None].contiguous(memory_format=torch.channels_last) for frame in frames]
    for time, frame in enumerate(batch):
        neighbour = batch[time + 1] if time + 1 < len(batch) else batch[max(time - 1, 0)]
        logits, memory = model.step(frame, neighbour, memory, write=time % every == 0)
        outputs.append(logits["out"][0])
    return outputs


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_stream_equals_stepping_by_hand(sali, count):
    frames = clip(count)
    streamed = list(stream(sali, frames, write_every=2))
    expected = by_hand(sali, frames, every=2)
    assert len(streamed) == count
    assert all(torch.equal(a, b) for a, b in zip(streamed, expected, strict=True))


def test_every_fifth_frame_is_written_unless_told_otherwise(sali, monkeypatch):
    written = []
    step = sali.step
    monkeypatch.setattr(sali, "step", lambda *args, write: written.append(list(write)) or step(*args, write=write))
    list(stream(sali, clip(7)))
    assert written == [[time % 5 == 0] for time in range(7)]


def test_each_frame_is_encoded_once(sali, monkeypatch):
    seen = []
    encode = sali.encode
    monkeypatch.setattr(sali, "encode", lambda frame: seen.append(len(frame)) or encode(frame))
    list(stream(sali, clip(5)))
    assert seen == [1] * 5


def test_slots_give_each_clip_the_bits_it_has_alone(sali):
    clips = {name: clip(count, seed=count) for name, count in {"a": 5, "b": 1, "c": 2, "d": 4}.items()}
    together = run(sali, clips, slots=2)
    assert {name: len(answers) for name, answers in together.items()} == {"a": 5, "b": 1, "c": 2, "d": 4}
    for name, frames in clips.items():
        alone = run(sali, {name: frames}, slots=2)[name]
        assert all(torch.equal(a, b) for a, b in zip(together[name], alone, strict=True)), name


def test_no_clips_give_no_answers(sali):
    assert list(stream_clips(sali, [], slots=2)) == [] and list(stream(sali, [])) == []


def test_a_stream_draws_one_frame_ahead_of_its_answer(sali):
    drawn = []

    def frames():
        for frame in clip(6):
            drawn.append(frame)
            yield frame

    answers = stream(sali, frames())
    for time in range(4):
        next(answers)
        assert len(drawn) == time + 2, "the frame and the one after it"


def test_an_image_network_sees_frames_one_by_one():
    torch.manual_seed(0)
    model = create_model("sepnet", backbone="pvt-v2-b0", aux=False).eval()
    frames = [torch.randn(3, 64, 64) for _ in range(3)]
    streamed = list(stream(model, frames))
    with torch.inference_mode():
        expected = [model(frame[None].contiguous(memory_format=torch.channels_last))["out"][0] for frame in frames]
    assert all(torch.equal(a, b) for a, b in zip(streamed, expected, strict=True))
    answers = run(model, {"a": frames, "b": frames[:1]}, slots=2)
    assert [len(answers[name]) for name in "ab"] == [3, 1]
    assert torch.equal(answers["a"][1], run(model, {"a": frames}, slots=2)["a"][1])


def test_prefetch_keeps_order_bounds_its_lead_and_passes_errors_on():
    drawn = []

    def numbers():
        for number in range(10):
            drawn.append(number)
            yield number
        raise ValueError("the end")

    ahead = prefetch(numbers(), 3)
    assert [next(ahead) for _ in range(4)] == [0, 1, 2, 3]
    assert len(drawn) <= 4 + 3
    assert [next(ahead) for _ in range(6)] == list(range(4, 10))
    with pytest.raises(ValueError, match="the end"):
        next(ahead)


def test_prefetch_ends_its_thread_when_it_is_closed():
    before = threading.active_count()
    ahead = prefetch(iter(range(1000)), 3)
    next(ahead)
    assert threading.active_count() == before + 1
    ahead.close()
    assert threading.active_count() == before


def test_background_calls_keep_their_order_and_pass_errors_on():
    done = []
    with in_background(waiting=2) as later:
        for number in range(8):
            later(done.append, number)
    assert done == list(range(8))
    with pytest.raises(ZeroDivisionError), in_background() as later:
        later(divmod, 1, 0)


def test_with_nothing_ahead_all_is_done_when_it_is_due_by_the_caller():
    drawn, callers = [], []
    numbers = prefetch((drawn.append(number) or number for number in range(3)), 0)
    assert next(numbers) == 0 and drawn == [0]
    with in_background(threads=0) as later:
        later(lambda: callers.append(threading.current_thread()))
        assert callers == [threading.current_thread()]


@pytest.mark.parametrize("slots", [1, 2])
def test_a_neighbour_keeps_the_layout_networks_run_fastest_in(slots):
    def arrived(time):
        return [Arrival(slot, time, None, torch.zeros(3, 8, 8)) for slot in range(slots)]

    def encoded(seed):
        maps = torch.randn(slots, 2, 4, 4, generator=torch.Generator().manual_seed(seed))
        return Encoding(*[maps.contiguous(memory_format=torch.channels_last)] * 3)

    state = VideoSlots(None, amp=nullcontext(), write_every=1)
    state.frames, state.encoding = arrived(0), encoded(0)
    after = encoded(1)
    for level, expected in zip(state._neighbours(arrived(1), after), after, strict=True):
        assert torch.equal(level, expected)
        assert level.is_contiguous(memory_format=torch.channels_last)
