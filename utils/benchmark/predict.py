"""How fast networks of images predict: `python -m utils benchmark predict`.

Without files: the inference network's forward on normalized images that lie on the device; with files: from image file
to map file, as myTest.py does it.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from tqdm import tqdm

from lib import list_models
from measure.io import STILLS, images_by_stem, markdown_table, nonempty, path

from ..data import worker_count
from ..phantom import write_stills
from ..runtime import MachineOptions, add_flags, choose_device
from .bounds import BATCH, REPEATS, SIDE, WARMUP
from .networks import ModelTimes, measure_model
from .report import conditions, write_report
from .timing import BenchmarkConfig, backbone_option, format_timing

__all__ = ["add_verb_flags", "benchmark_prediction", "prediction_table"]

PHANTOMS = 24  # images made where none are given
PHANTOM_SIZE = (480, 640)  # height and width, pixels


def add_verb_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `benchmark predict`, and as `start` the function that takes them."""
    parser.description = __doc__
    parser.set_defaults(start=benchmark_prediction)
    defaults = BenchmarkConfig()
    parser.add_argument("--models", nargs="+", type=nonempty, metavar="NAME", help="networks (default: all of images)")
    parser.add_argument("--backbone", type=nonempty, metavar="NAME", help="of the networks that have one")
    parser.add_argument("--size", type=SIDE, metavar="N", help="input height and width, pixels (default: recipe's)")
    parser.add_argument(
        "--batch_sizes",
        type=BATCH,
        nargs="+",
        default=defaults.batch_sizes,
        metavar="N",
        help="images a forward, to find the best of",
    )
    parser.add_argument(
        "--warmup", type=WARMUP, default=defaults.warmup, metavar="N", help="forwards before time is taken"
    )
    parser.add_argument(
        "--repeats", type=REPEATS, default=defaults.repeats, metavar="N", help="forwards whose time is taken"
    )
    parser.add_argument("--images", type=path, help="folder of images to read (default: synthetic ones, 480 x 640)")
    parser.add_argument("--out", type=path, default=Path("result/benchmark"), help="folder for times.json and times.md")
    add_flags(parser, MachineOptions)


def benchmark_prediction(args: argparse.Namespace) -> None:
    """Time the networks as the flags say; write and print the table.

    Raises:
        InputError, ModelError: a flag or folder that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id)
    config = BenchmarkConfig(
        size=args.size,
        batch_sizes=tuple(args.batch_sizes),
        warmup=args.warmup,
        repeats=args.repeats,
        amp=args.amp,
        workers=worker_count(args.workers, device),
    )
    names = args.models or list_models("image")
    with ExitStack() as stack:
        paths = list(images_by_stem(args.images or phantom_folder(stack)).values())
        times = [
            measure_model(name, paths, config=config, device=device, **backbone_option(name, args.backbone))
            for name in tqdm(names, desc="networks", unit="network", disable=None)
        ]
    write_prediction_times(times, args.out, device=device, config=config, images=len(paths))


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
        "multiply-adds of one image.\n\n" + prediction_table(times)
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
