"""How fast networks of images predict: `python -m utils benchmark predict`.

Without files: the inference network's forward on normalized images that lie on the device; with files: from image file
to map file, as myTest.py does it.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from lib import list_models
from measure.io import STILLS, images_by_stem, markdown_table

from ..data import worker_count
from ..phantom import write_stills
from ..runtime import MachineOptions, choose_device, option
from .networks import ModelTimes, measure_model
from .report import conditions, unrecorded, write_report
from .timing import BenchmarkConfig, backbone_option, format_timing

__all__ = ["Benchmark", "prediction_table"]

PREDICTION = "prediction"
PHANTOMS = 24  # images made where none are given
PHANTOM_SIZE = (480, 640)  # height and width, pixels


@dataclass(frozen=True)
class Benchmark(MachineOptions):
    """What is timed, and how."""

    models: tuple[str, ...] | None = option(
        None, "networks (default: all of images)", group=PREDICTION, nargs="+", metavar="NAME"
    )
    backbone: str | None = option(None, "of the networks that have one", group=PREDICTION, metavar="NAME")
    size: int | None = option(
        None, "input height and width, pixels (default: recipe's)", group=PREDICTION, low=32, high=4096
    )
    batch_sizes: tuple[int, ...] = option(
        (1, 2, 4, 8, 16, 32),
        "images a forward, to find the best of; what no longer fits in memory ends the search",
        group=PREDICTION,
        nargs="+",
        metavar="N",
        low=1,
        high=4096,
    )
    warmup: int = option(5, "forwards before time is taken", group=PREDICTION, high=100_000)
    repeats: int = option(30, "forwards whose time is taken", group=PREDICTION, low=1)
    images: str | None = option(
        None, "folder of images to read (default: synthetic ones, 480 x 640)", group=PREDICTION, metavar="FOLDER"
    )
    cuda_graphs: bool = option(
        False, "CUDA: record the kernels of a forward once and start them all at once", group=PREDICTION
    )
    out: str = option("result/benchmark", "folder for times.json and times.md", group=PREDICTION, metavar="FOLDER")

    def run(self) -> None:
        """Time the networks; write and print the table.

        Raises:
            InputError, ModelError: an option or folder that cannot be used.
        """
        device = choose_device(self.device, self.gpu_id)
        config = BenchmarkConfig(
            size=self.size,
            batch_sizes=self.batch_sizes,
            warmup=self.warmup,
            repeats=self.repeats,
            amp=self.amp,
            workers=worker_count(self.workers, device),
            cuda_graphs=self.cuda_graphs,
        )
        with ExitStack() as stack:
            paths = list(images_by_stem(self.images or phantom_folder(stack)).values())
            times = [
                measure_model(name, paths, config=config, device=device, **backbone_option(name, self.backbone))
                for name in tqdm(self.models or list_models("image"), desc="networks", unit="network", disable=None)
            ]
        write_prediction_times(times, Path(self.out), device=device, config=config, images=len(paths))


def phantom_folder(stack: ExitStack) -> Path:
    """A folder of phantom images that lasts as long as `stack`."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    write_stills(folder, count=PHANTOMS, seed=0, size=PHANTOM_SIZE)
    return folder / STILLS.images


def prediction_table(times: Sequence[ModelTimes]) -> str:
    """A Markdown table, one network a row."""
    titles = (
        "network", "input", "parameters", "MACs", "forward", "best batch", "with files", "with files, best batch"
    )  # fmt: skip
    rows = (
        (
            " ".join((row.model, *map(str, row.options.values()))),
            f"{row.size}",
            f"{row.parameters / 1e6:.2f} M",
            f"{row.macs / 1e9:.2f} G",
            format_timing(row.forward),
            f"{format_timing(row.best_forward)} ({row.best_forward.batch})",
            format_timing(row.files),
            f"{row.best_files:.1f}",
        )
        for row in times
    )
    return markdown_table(titles, rows) + "\n"


def write_prediction_times(
    times: Sequence[ModelTimes], out: Path, *, device: torch.device, config: BenchmarkConfig, images: int
) -> None:
    """Write times.json and times.md, and print the table."""
    text = (
        f"{conditions(device, config.amp)}. Milliseconds an image, median / 95th percentile of {config.repeats}; best "
        f"batch in brackets; with files: {images} images read and maps written, the last column a mean. MACs are "
        f"multiply-adds of one image.\n\n{prediction_table(times)}{unrecorded(times)}"
    )
    write_report(
        out,
        "times",
        text=text,
        device=device,
        config=dataclasses.asdict(config),
        images=images,
        unit="milliseconds an image; MACs are multiply-adds of one image",
        networks=[dataclasses.asdict(row) for row in times],
    )
