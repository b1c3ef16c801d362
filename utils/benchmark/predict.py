"""How fast networks of still images predict: `python -m utils benchmark predict`.

Without files: the inference network's forward on normalised images that lie on the device; with files: from image file
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
from measure.io import STILLS, InputError, images_by_stem, markdown_table

from ..commands import add_device_flags
from ..data import worker_count
from ..phantom import write_stills
from ..runtime import choose_device
from .networks import ModelTimes, measure_model
from .report import conditions, write_report
from .timing import Course, own_options, shown

__all__ = ["add_flags", "run", "table"]

PHANTOMS = 24  # images made where none are given
PHANTOM_SIZE = (480, 640)  # height and width, pixels


def add_flags(verbs: argparse._SubParsersAction) -> None:
    """Add the verb `predict`."""
    parser = verbs.add_parser(
        "predict",
        help="time the prediction of still images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    defaults = Course()
    parser.add_argument("--models", nargs="+", help="networks (default: every one of still images)")
    parser.add_argument("--backbone", help="of the networks that have one (default: their own)")
    parser.add_argument("--size", type=int, help="input height and width, pixels (default: each network's recipe's)")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=defaults.batch_sizes, help="to find the best in")
    parser.add_argument("--warmup", type=int, default=defaults.warmup, help="forwards before time is taken")
    parser.add_argument("--repeats", type=int, default=defaults.repeats, help="forwards whose time is taken")
    parser.add_argument("--images", type=Path, help="folder of images to read (default: made-up ones, 480 x 640)")
    parser.add_argument("--out", type=Path, default=Path("result/benchmark"), help="folder for times.json and times.md")
    add_device_flags(parser)


def run(args: argparse.Namespace) -> None:
    """Time the networks as the flags say; write and print the table.

    Raises:
        InputError, ModelError: a flag or folder that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id)
    if min(*args.batch_sizes, args.repeats) < 1 or args.warmup < 0:
        raise InputError("--batch_sizes and --repeats must be at least 1, --warmup at least 0")
    course = Course(
        size=args.size,
        batch_sizes=tuple(args.batch_sizes),
        warmup=args.warmup,
        repeats=args.repeats,
        amp=args.amp,
        workers=worker_count(args.workers, device),
    )
    names = args.models or list_models("image")
    with ExitStack() as stack:
        paths = list(images_by_stem(args.images or made_up(stack)).values())
        times = [
            measure_model(name, paths, course=course, device=device, **own_options(name, args.backbone))
            for name in tqdm(names, desc="networks", unit="network", disable=None)
        ]
    write(times, args.out, device=device, course=course, images=len(paths))


def made_up(stack: ExitStack) -> Path:
    """A folder of phantom images that lasts as long as `stack`."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    write_stills(folder, count=PHANTOMS, seed=0, size=PHANTOM_SIZE)
    return folder / STILLS.images


def table(times: Sequence[ModelTimes]) -> str:
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
            shown(row.forward),
            f"{shown(row.best_forward)} ({row.best_forward.batch})",
            shown(row.files),
            f"{row.best_files:.1f}",
        )
        for row in times
    )
    return markdown_table(titles, rows) + "\n"


def write(times: Sequence[ModelTimes], out: Path, *, device: torch.device, course: Course, images: int) -> None:
    """Write times.json and times.md, and print the table."""
    text = (
        f"{conditions(device, course.amp)}. Milliseconds an image, median / 95th percentile of {course.repeats}; best "
        f"batch in brackets; with files: {images} images read and maps written, the last column a mean. MACs are "
        "multiply-adds of one image.\n\n" + table(times)
    )
    write_report(
        out,
        "times",
        text=text,
        device=device,
        course=dataclasses.asdict(course),
        images=images,
        unit="milliseconds an image; MACs are multiply-adds of one image",
        networks=[dataclasses.asdict(row) for row in times],
    )
