"""SUN-SEG's folders as data: cases of frames and masks, a held-out part, triplets to train on.

    <split>/Frame/<case>/<frame>.jpg        <split>/GT/<case>/<frame>.png

Frames run in natural order of their names (`a9_image0098` before `a10_image0099`). Every sample has a random generator
of its own, seeded by (seed, epoch, index), as in `image_dataset`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from measure.io import (
    FRAME_MASKS,
    FRAMES,
    STILLS,
    InputError,
    Layout,
    counted,
    first_names,
    images_by_stem,
    natural_key,
    pair_stems,
    subfolders,
)

from .augmentation import Augmentation, Blur, Contrast, Jitter, Noise, Size, augment
from .pairs import Pair
from .preprocessing import to_chw
from .splits import ItemKind

__all__ = [
    "CLIPS",
    "Case",
    "ClipTrainingData",
    "draw_memory_frame",
    "find_cases",
    "memory_window",
    "neighbour_of",
    "polyp_of",
]

# contrast, color, blur and noise differ from frame to frame of a sample; geometry, camera and light do not
DRAWN_PER_FRAME = (Blur, Contrast, Jitter, Noise)
EPOCHS_OF_A_WINDOW = 5  # as released with SALI, whose windows grow: 5, 10, 15, 20, 25 frames


@dataclass(frozen=True)
class Case:
    """A clip.

    Attributes:
        name: the case's folder.
        frames: the clip's frames with their masks, in order.
    """

    name: str
    frames: tuple[Pair, ...]

    @property
    def polyp(self) -> str:
        """What the names of all clips of one polyp begin with: `case7_2` -> `case7`."""
        return polyp_of(self.name)


def polyp_of(name: str) -> str:
    """The polyp of a clip, by the clip's name: what comes before the last underscore."""
    return name.rpartition("_")[0] or name


def find_cases(folder: str | Path, layout: Layout = STILLS) -> list[Case]:
    """Find the cases of a split and pair their frames with their masks; `layout` says how masks are to be read.

    Raises:
        InputError: a folder is missing or empty, or frames lack masks or the reverse (the first five, and the counts).
    """
    cases, unmasked, unseen = pair_cases(folder, layout)
    _refuse_unpaired(folder, unmasked, unseen)
    if not any(case.frames for case in cases):
        raise InputError(f"no frame under {folder}/{FRAMES}; expected {folder}/{FRAMES}/<case>/<frame>.jpg")
    return [case for case in cases if case.frames]


def pair_cases(folder: str | Path, layout: Layout = STILLS) -> tuple[list[Case], list[str], list[str]]:
    """Pair the frames of a split's cases with their masks.

    Returns:
        The cases; `<case>/<stem>` of the frames that lack a mask, and of the masks that lack a frame.

    Raises:
        InputError: a folder is missing or cannot be listed.
    """
    folder = Path(folder)
    frames, masks = folder / FRAMES, folder / FRAME_MASKS
    if not (frames.is_dir() and masks.is_dir()):
        raise InputError(f"{folder} has no {FRAMES}/ and {FRAME_MASKS}/; expected {frames}/<case>/ and {masks}/<case>/")
    cases, unmasked, unseen = [], [], []
    for name in sorted({*subfolders(frames), *subfolders(masks)}, key=natural_key):
        pairing = pair_stems(
            _images(frames / name),
            _images(masks / name),
            place=name,
            allow_missing=True,
            allow_extra=True,
            allow_none=True,
        )
        cases.append(Case(name, tuple(Pair(*pair, layout.mask_values) for pair in pairing.pairs)))
        unmasked += [f"{name}/{stem}" for stem in pairing.missing]
        unseen += [f"{name}/{stem}" for stem in pairing.extra]
    return cases, unmasked, unseen


def _images(folder: Path) -> dict[str, Path]:
    return images_by_stem(folder, allow_empty=True) if folder.is_dir() else {}


def _refuse_unpaired(folder: str | Path, unmasked: Sequence[str], unseen: Sequence[str]) -> None:
    faults = []
    if unmasked:
        faults.append(f"{counted(len(unmasked), 'frame has', 'frames have')} no mask, first {first_names(unmasked)}")
    if unseen:
        faults.append(f"{counted(len(unseen), 'mask has', 'masks have')} no frame, first {first_names(unseen)}")
    if faults:
        raise InputError(
            f"{folder}: {'; '.join(faults)}; names in {FRAMES}/ and {FRAME_MASKS}/ must agree up to the suffix"
        )


CLIPS: ItemKind[Case] = ItemKind("clips", find_cases, lambda case: case.name, lambda case: case.polyp)
"""Split files name cases; they decide alone whether clips of one polyp stand on both sides."""


def memory_window(epoch: int, windows: Sequence[int]) -> int:
    """How many frames a memory frame may lie back in epoch 1, 2, ...: each window for five epochs, then the first."""
    stage = (epoch - 1) // EPOCHS_OF_A_WINDOW
    return windows[stage] if stage < len(windows) else windows[0]


def neighbour_of(time: int, count: int) -> int:
    """The frame after frame `time` of `count`; of the last frame the one before; of a single frame itself."""
    return time + 1 if time + 1 < count else max(time - 1, 0)


def draw_memory_frame(time: int, count: int, window: int, rng: np.random.Generator) -> int:
    """Draw the frame that frame `time` of `count` remembers in training: one of up to `window` before it.

    Frame 0 remembers frame 1; the last frame does not remember its neighbour, unless there is no other.
    """
    if time == 0:
        return min(1, count - 1)
    last = time - 1 if time + 1 < count else max(time - 2, 0)
    return int(rng.integers(min(max(0, time - window), last), last, endpoint=True))


class ClipTrainingData(Dataset):
    """Augmented triplets, addressed by (epoch, index); index counts the frames of all cases.

    {"memory_frame", "current", "neighbour": (3, S, S), "memory_mask", "mask": (1, S, S)}, uint8: the arguments of
    `forward_clip`, and the mask of the current frame.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        *,
        size: int,
        seed: int,
        windows: Sequence[int],
        augmentation: Sequence[Augmentation],
    ):
        self.cases = list(cases)
        self.places = [(case, time) for case in self.cases for time in range(len(case.frames))]
        self.size = (size, size)
        self.seed = seed
        self.windows = tuple(windows)
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Tensor]:
        epoch, index = draw
        rng = np.random.default_rng((self.seed, epoch, index))
        case, time = self.places[index]
        count = len(case.frames)
        window = memory_window(epoch, self.windows)
        remembered = case.frames[draw_memory_frame(time, count, window, rng)]
        current, neighbour = case.frames[time], case.frames[neighbour_of(time, count)]
        frames = [pair.read_image() for pair in (remembered, current, neighbour)]
        masks = [pair.read_mask() for pair in (remembered, current)]
        frames, masks = augment_clip(frames, masks, rng, self.augmentation, size=self.size)
        names = ("memory_frame", "current", "neighbour", "memory_mask", "mask")
        return {name: to_chw(array) for name, array in zip(names, [*frames, *masks], strict=True)}


def augment_clip(
    frames: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    rng: np.random.Generator,
    augmentations: Sequence[Augmentation],
    *,
    size: Size,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draw every augmentation once for all frames (H, W, 3) and masks (H, W) of a sample, colors once for every frame.

    There may be fewer masks than frames; all are of one size, and of `size` afterwards.
    """
    count = len(frames)
    blanks = [np.zeros_like(masks[0])] * (count - len(masks))
    draws = [
        np.broadcast_to(rng.integers(2**63, size=count if isinstance(each, DRAWN_PER_FRAME) else 1), count)
        for each in augmentations
    ]
    pairs = [
        augment(frame, mask, [np.random.default_rng(draw[n]) for draw in draws], augmentations, size=size)
        for n, (frame, mask) in enumerate(zip(frames, [*masks, *blanks], strict=True))
    ]
    return [frame for frame, _ in pairs], [mask for _, mask in pairs[: len(masks)]]
