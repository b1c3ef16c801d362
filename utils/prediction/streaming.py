"""Segment clips frame by frame with constant memory: one encoding a frame, several clips side by side.

A video network sees a frame, the frame after it and what it remembers, so its answer comes one frame late; an image
network sees frames one by one. `stream` follows one clip, `stream_clips` any number of them in a fixed number of slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lib import Encoding, Memory, Network

from .config import WRITE_EVERY

__all__ = ["Arrival", "VideoSlots", "stream", "stream_clips"]


@dataclass(frozen=True)
class Arrival:
    """A frame that came into a slot.

    Attributes:
        clip: number of its clip.
        time: its place in the clip, from 0.
        tag: the caller's.
        image: (3, H, W) normalized RGB.
    """

    clip: int
    time: int
    tag: Any
    image: Tensor


Batch = Sequence["Arrival | None"]  # one place a slot; None where the slot has nothing


def stream(model: Network, frames: Iterable[Tensor], *, write_every: int = WRITE_EVERY) -> Iterator[Tensor]:
    """Segment one clip.

    Args:
        model: an image or a video network in evaluation.
        frames: (3, H, W) normalized RGB, drawn one by one; H and W as the network asks.
        write_every: a video network remembers every such frame, the first included.

    Yields:
        (1, h, w) `out` logits of every frame, in order.
    """
    clip = ((None, frame) for frame in frames)
    for _, logits in stream_clips(model, [clip], slots=1, write_every=write_every):
        yield logits


def stream_clips(
    model: Network,
    clips: Iterable[Iterable[tuple[Any, Tensor]]],
    *,
    slots: int,
    write_every: int = WRITE_EVERY,
    amp: AbstractContextManager | None = None,
) -> Iterator[tuple[Any, Tensor]]:
    """Segment clips, `slots` of them at a time: a slot whose clip has ended takes the next one.

    Every forward has `slots` frames, empty slots are filled with zeros: at one number of slots a clip's logits are the
    same bits whatever runs beside it. Nothing of a clip reaches another one.

    Args:
        model: an image or a video network in evaluation.
        clips: of (tag, frame), frames as in `stream` and all of one size; drawn as slots get free.
        slots: clips side by side.
        write_every: as in `stream`.
        amp: autocast context of the forward.

    Yields:
        (tag, (1, h, w) `out` logits) of every frame; the order within a clip is kept, clips are interleaved.
    """
    numbered = enumerate(clips)
    lanes = [_lane(numbered) for _ in range(slots)]
    slots_of = {"image": ImageSlots, "video": VideoSlots}[model.kind]
    state = slots_of(model, amp=amp or nullcontext(), write_every=write_every)
    while True:
        arrived = [next(lane, None) for lane in lanes]
        answers = state.advance(arrived)
        yield from answers
        if not answers and not any(arrived):
            return


def _lane(clips: Iterator[tuple[int, Iterable[tuple[Any, Tensor]]]]) -> Iterator[Arrival]:
    """The frames that pass through one slot; all lanes draw from the same clips."""
    for number, clip in clips:
        for time, (tag, image) in enumerate(clip):
            yield Arrival(number, time, tag, image)


class ImageSlots:
    """An image network: every frame is answered when it arrives."""

    def __init__(self, model: Network, *, amp: AbstractContextManager, write_every: int):
        self.model, self.amp = model, amp

    @torch.inference_mode()
    def advance(self, arrived: Batch) -> list[tuple[Any, Tensor]]:
        """Answer the frames that arrived: (tag, logits)."""
        if not any(arrived):
            return []
        with self.amp:
            logits = self.model(stacked(arrived, self.model))["out"]
        return [(frame.tag, logits[slot]) for slot, frame in enumerate(arrived) if frame]


class VideoSlots:
    """A video network: a frame is answered when the one after it has arrived and is encoded.

    Attributes:
        frames: to be answered next, one a slot.
        encoding: of these frames.
        previous: the frames before them.
        previous_encoding: of those.
        memory: what each slot's clip remembers.
    """

    def __init__(self, model: Network, *, amp: AbstractContextManager, write_every: int):
        self.model, self.amp, self.write_every = model, amp, write_every
        self.frames: Batch = ()
        self.previous: Batch = ()
        self.encoding: Encoding | None = None
        self.previous_encoding: Encoding | None = None
        self.memory = Memory.empty()

    @torch.inference_mode()
    def advance(self, arrived: Batch) -> list[tuple[Any, Tensor]]:
        """Take in one frame a slot and answer those that came before: (tag, logits)."""
        with self.amp:
            encoding = self.model.encode(stacked(arrived, self.model)) if any(arrived) else None
            answers = self._answer(arrived, encoding) if any(self.frames) else []
        self.previous, self.previous_encoding = self.frames, self.encoding
        self.frames, self.encoding = arrived, encoding
        return answers

    def _answer(self, arrived: Batch, encoding: Encoding | None) -> list[tuple[Any, Tensor]]:
        neighbour = self._neighbours(arrived, encoding)
        memory = self.memory.for_batch(len(self.frames))
        starts = [frame is None or frame.time == 0 for frame in self.frames]
        clips = (() if start else clip for start, clip in zip(starts, memory.clips, strict=True))
        written = [frame is not None and frame.time % self.write_every == 0 for frame in self.frames]
        outputs, self.memory = self.model.step(self.encoding, neighbour, Memory(tuple(clips)), write=written)
        return [(frame.tag, outputs["out"][slot]) for slot, frame in enumerate(self.frames) if frame]

    def _neighbours(self, arrived: Batch, encoding: Encoding | None) -> Encoding:
        """Per slot the encoding of the next frame, at the end of a clip of the one before, in a clip of one its own."""
        chosen = []
        for slot, frame in enumerate(self.frames):
            if same_clip(frame, arrived[slot]):
                chosen.append(encoding)
            elif self.previous and same_clip(frame, self.previous[slot]):
                chosen.append(self.previous_encoding)
            else:
                chosen.append(self.encoding)
        levels = range(len(self.encoding))
        slices = [[of[level][slot : slot + 1] for slot, of in enumerate(chosen)] for level in levels]
        return Encoding(*(torch.cat(level) for level in slices))  # unlike `stack`, keeps channels last


def same_clip(frame: Arrival | None, other: Arrival | None) -> bool:
    return frame is not None and other is not None and frame.clip == other.clip


def stacked(arrived: Batch, model: Network) -> Tensor:
    """The frames as a batch on the network's device, zeros where a slot is empty."""
    blank = torch.zeros_like(next(frame.image for frame in arrived if frame))
    images = [frame.image if frame else blank for frame in arrived]
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))  # none: a runtime's
    return stacked_images(images, device)


def stacked_images(images: Sequence[Tensor], device: torch.device) -> Tensor:
    """(3, H, W) images as a batch on a device, channels last, as networks run fastest and as images lie in memory."""
    return torch.stack([image.movedim(0, -1) for image in images]).to(device, non_blocking=True).movedim(-1, 1)
