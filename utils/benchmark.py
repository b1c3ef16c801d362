"""How fast networks are: `python -m utils.benchmark predict`, and `train`, for networks of still images.

predict, without files: the inference network's forward on normalised images that lie on the device; with files: from
image file to map file, as myTest.py does it. train: a step of the trainer on a batch that lies on the device, beside a
step of a plain eager loop, in turn. `timing` says how times are taken and what is counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from lib import list_models, model_entry
from measure.errors import InputError
from measure.files import make_folder, replace_when_whole
from measure.json_file import write_json
from measure.pairing import images_by_stem

from .cli import choose_device, run
from .options import add_device_flags, worker_count
from .phantom import write_stills
from .repro import versions
from .step_timing import measure_step
from .timing import Course, ModelTimes, Timing, measure_model

__all__ = ["table"]

PHANTOMS = 24  # images made where none are given
PHANTOM_SIZE = (480, 640)  # height and width, pixels


def table(times: Sequence[ModelTimes]) -> str:
    """A Markdown table, one network a row."""
    titles = (
        "network", "input", "parameters", "MACs", "forward", "best batch", "with files", "with files, best batch"
    )  # fmt: skip
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1)]
    for row in times:
        lines.append(
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
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(found: Timing) -> str:
    return f"{found.median:.1f} / {found.p95:.1f}"


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m utils.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    predict = verbs.add_parser("predict", help="time the prediction of still images")
    defaults = Course()
    predict.add_argument("--models", nargs="+", help="networks (default: every one of still images)")
    predict.add_argument("--backbone", help="of the networks that have one (default: their own)")
    predict.add_argument("--size", type=int, help="input height and width, pixels (default: each network's recipe's)")
    predict.add_argument("--batch_sizes", type=int, nargs="+", default=defaults.batch_sizes, help="to find the best in")
    predict.add_argument("--warmup", type=int, default=defaults.warmup, help="forwards before time is taken")
    predict.add_argument("--repeats", type=int, default=defaults.repeats, help="forwards whose time is taken")
    predict.add_argument("--images", type=Path, help="folder of images to read (default: made-up ones, 480 x 640)")
    predict.add_argument(
        "--out", type=Path, default=Path("result/benchmark"), help="folder for times.json and times.md"
    )
    add_device_flags(predict)
    train = verbs.add_parser("train", help="time a training step beside a plain eager loop")
    train.add_argument("--model", default="sepnet", help="network (default: sepnet)")
    train.add_argument("--backbone", help="of the network (default: its own)")
    train.add_argument("--size", type=int, default=352, help="input height and width, pixels (default: 352)")
    train.add_argument("--batch_size", type=int, default=4, help="images a step (default: 4)")
    train.add_argument("--warmup", type=int, default=2, help="pairs of steps before time is taken (default: 2)")
    train.add_argument("--repeats", type=int, default=7, help="pairs of steps whose time is taken (default: 7)")
    add_device_flags(train)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    verb = benchmark_predict if args.verb == "predict" else benchmark_train
    return run(lambda: verb(args))


def benchmark_train(args: argparse.Namespace) -> None:
    """Time training steps as the flags say, and print them.

    Raises:
        InputError, ModelError: a flag that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id)
    if min(args.batch_size - 1, args.repeats) < 1 or args.warmup < 0:
        raise InputError("--batch_size must be at least 2, --repeats at least 1, --warmup at least 0")
    course = Course(warmup=args.warmup, repeats=args.repeats, amp=args.amp)
    options = own_options(args.model, args.backbone)
    times = measure_step(args.model, size=args.size, batch=args.batch_size, course=course, device=device, **options)
    print(
        f"{args.model} {args.backbone or ''} at {args.size} x {args.size}, batch {args.batch_size}, on "
        f"{named(device)}: milliseconds an image, median / 95th percentile of {args.repeats}\n"
        f"plain eager loop, float32: {shown(times.plain)}\n"
        f"trainer, {args.amp if args.amp != 'off' else 'float32'}: {shown(times.ours)}\n"
        f"{times.ratio:.2f} x as fast (median over pairs of steps)"
    )


def benchmark_predict(args: argparse.Namespace) -> None:
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
        workers=worker_count(args, device),
    )
    names = args.models or list_models("image")
    with ExitStack() as stack:
        paths = list(images_by_stem(args.images or made_up(stack)).values())
        times = [
            measure_model(name, paths, course=course, device=device, **own_options(name, args.backbone))
            for name in tqdm(names, desc="networks", unit="network", disable=None)
        ]
    write(times, args.out, device=device, course=course, images=len(paths))


def own_options(name: str, backbone: str | None) -> dict[str, Any]:
    return {"backbone": backbone} if backbone and "backbone" in model_entry(name).options else {}


def made_up(stack: ExitStack) -> Path:
    """A folder of phantom images that lasts as long as `stack`."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    write_stills(folder, count=PHANTOMS, seed=0, size=PHANTOM_SIZE)
    return folder / "images"


def named(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def write(times: Sequence[ModelTimes], out: Path, *, device: torch.device, course: Course, images: int) -> None:
    """Write times.json and times.md, and print the table."""
    where = named(device)
    text = (
        f"{where}, precision {'float32' if course.amp == 'off' else course.amp}. Milliseconds an image, median / 95th "
        f"percentile of {course.repeats}; best batch in brackets; with files: {images} images read and maps written, "
        "the last column a mean. MACs are multiply-adds of one image.\n\n" + table(times)
    )
    make_folder(out)
    content = {
        "device": where,
        "course": dataclasses.asdict(course),
        "images": images,
        "unit": "milliseconds an image; MACs are multiply-adds of one image",
        "versions": versions(),
        "networks": [dataclasses.asdict(row) for row in times],
    }
    write_json(content, out / "times.json")
    with replace_when_whole(out / "times.md") as partial:
        partial.write_text(text)
    print(text + f"\n{out / 'times.json'} has every number")


if __name__ == "__main__":
    sys.exit(main())
