"""Time the loading of training samples: ours, without a cache and with each, and a plain loader."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tqdm import tqdm

from measure.io import STILLS, markdown_table, one_thread

from ..data import Pair, TrainingData, find_pairs, inspect, open_cache, parse_augmentation
from ..phantom import phantom_still
from ..training import recipe_for
from .options import LoaderBenchmark
from .plain.sample import load_sample
from .timing import Timing, summarize_times

__all__ = ["LoaderTimes", "measure_loaders", "start", "write_png_pairs"]

PHANTOMS = 16  # pairs made where none are given
PHANTOM_SIZE = (529, 622)  # height and width, pixels: common in Kvasir-SEG

Loader = Callable[[int, int], Any]  # of epoch and index


def start(options: LoaderBenchmark) -> None:
    """Time loading, and print the table.

    Raises:
        InputError: an option or folder that cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        if not options.images:
            write_png_pairs(Path(folder) / "pairs", count=PHANTOMS, size=PHANTOM_SIZE)
        pairs = find_pairs(options.images or Path(folder) / "pairs")
        inspect({"training": pairs})
        rows = measure_loaders(pairs, size=options.size, repeats=options.repeats, folder=Path(folder) / "cache")
    print(
        f"{len(pairs)} pairs, {options.repeats} samples of each at {options.size} x {options.size}, one thread: "
        f"milliseconds a sample\n\n{times_table(rows)}"
    )


@dataclass(frozen=True)
class LoaderTimes:
    """One way to load.

    Attributes:
        name: as it stands in the table.
        times: milliseconds a sample.
        mean: milliseconds a sample.
        ratio: the mean as a multiple of decoding's.
    """

    name: str
    times: Timing
    mean: float
    ratio: float


def times_table(rows: Sequence[LoaderTimes]) -> str:
    """A Markdown table, one way to load a row."""
    cells = [
        (row.name, f"{row.times.median:.2f} / {row.times.p95:.2f}", f"{row.mean:.2f}", f"{row.ratio:.2f}")
        for row in rows
    ]
    return markdown_table(("way", "median / 95th percentile", "mean", "mean, times decoding"), cells)


def measure_loaders(pairs: Sequence[Pair], *, size: int, repeats: int, folder: Path) -> list[LoaderTimes]:
    """Time every way of loading on every pair, in turn; the first is decoding, to which the ratios refer.

    `folder` is where the cache on disk goes. Every way loads every pair once before time is taken.
    """
    loaders_by_name = loaders(pairs, size=size, folder=folder)
    seconds = np.empty((len(loaders_by_name), repeats, len(pairs)))
    with as_in_a_worker():
        for epoch in tqdm(range(repeats + 1), desc="loading", unit="pass", disable=None, leave=False):
            for index in range(len(pairs)):
                for row, load in enumerate(loaders_by_name.values()):
                    started = time.thread_time()
                    load(epoch, index)
                    if epoch > 0:
                        seconds[row, epoch - 1, index] = time.thread_time() - started
    means = 1000 * seconds.mean(axis=(1, 2))
    return [
        LoaderTimes(name, summarize_times(taken.ravel(), 1), float(mean), float(mean / means[0]))
        for name, taken, mean in zip(loaders_by_name, seconds, means, strict=True)
    ]


def loaders(pairs: Sequence[Pair], *, size: int, folder: Path) -> dict[str, Loader]:
    """The loaders_by_name to load sample `index` of `epoch`, by name."""
    augmentation = [parse_augmentation(text) for text in recipe_for("sepnet").config.augment]

    def ours(cache: str) -> Loader:
        read = open_cache(cache, folder, pairs, size=size)
        data = TrainingData(pairs, size=size, seed=0, augmentation=augmentation, read=read)
        return lambda epoch, index: data[(epoch, index)]

    return {
        "decoding alone": lambda _, index: decode(pairs[index]),
        "ours": ours("off"),
        "ours, cache in memory": ours("memory"),
        "ours, cache on disk": ours("disk"),
        "plain Pillow and torchvision": lambda _, index: load_sample(pairs[index], size),
    }


def decode(pair: Pair) -> None:
    cv2.imread(str(pair.image), cv2.IMREAD_COLOR)
    cv2.imread(str(pair.mask), cv2.IMREAD_GRAYSCALE)


@contextmanager
def as_in_a_worker() -> Iterator[None]:
    """Keep PyTorch and OpenCV to one thread, as they are in a loader's process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with one_thread():
            yield
    finally:
        torch.set_num_threads(before)


def write_png_pairs(folder: Path, *, count: int, size: tuple[int, int]) -> None:
    """Write phantoms as PNG pairs, `<folder>/images/1.png` and `<folder>/masks/1.png`, and so on."""
    images, masks = folder / STILLS.images, folder / STILLS.masks
    for kind in (images, masks):
        kind.mkdir(parents=True)
    for number in range(1, count + 1):
        image, mask = phantom_still(seed=number, size=size)
        cv2.imwrite(str(images / f"{number}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(masks / f"{number}.png"), mask)
