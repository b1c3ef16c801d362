"""How long a training step takes: `python -m utils benchmark train`.

Steps of the trainer on a batch that lies on the device, beside a step of a plain eager loop of the same network on the
same batch (`plain_loop`), one of each in turn. A step counts as 3 x forward multiply-adds x 2 FLOP: the backward pass
takes twice the forward. The peak is the data sheet's float32 or half-precision rate; PyTorch lets
convolutions in float32 use TF32, so theirs may seem high.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lib import create_model
from measure.io import markdown_table, nonempty, number, path

from ..runtime import MachineOptions, add_flags, choose_device, compiled
from ..training import DeepSupervision, TrainConfig, TrainStep, structure_loss
from .bounds import REPEATS, SIDE, WARMUP
from .networks import count_macs
from .peak import peak_flops
from .plain_loop import plain_form, plain_step
from .report import write_report
from .timing import BenchmarkConfig, Timing, backbone_option, device_name, format_timing, summarize_times, time_calls

__all__ = ["ROWS", "StepTimes", "add_verb_flags", "benchmark_training", "measure_steps"]

PLAIN = "plain eager loop, float32"
ROWS = ("float32", "bf16", "fp16", "float32+compile", "bf16+compile", "fp16+compile")
FLOPS_A_MAC = 3 * 2  # forward and twice that backward; a multiplication and an addition


def add_verb_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `benchmark train`, and as `start` the function that takes them."""
    parser.description = __doc__
    parser.set_defaults(start=benchmark_training)
    parser.add_argument("--model", type=nonempty, default="sepnet", metavar="NAME", help="network")
    parser.add_argument("--backbone", type=nonempty, metavar="NAME", help="of the network (default: its own)")
    parser.add_argument("--size", type=SIDE, default=352, metavar="N", help="input height and width, pixels")
    parser.add_argument(
        "--batch_size", type=number(int, low=2, high=4096), default=4, metavar="N", help="images a step, at least 2"
    )
    parser.add_argument("--warmup", type=WARMUP, default=2, metavar="N", help="steps of each before time is taken")
    parser.add_argument("--repeats", type=REPEATS, default=7, metavar="N", help="steps of each whose time is taken")
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=ROWS,
        help="how the trainer trains (default: float32 and --amp; with CUDA float32 bf16 bf16+compile; compiling for a "
        "CPU takes minutes)",
    )
    parser.add_argument("--out", type=path, default=Path("result/benchmark"), help="folder for steps.json and steps.md")
    add_flags(parser, MachineOptions)


def benchmark_training(args: argparse.Namespace) -> None:
    """Time training steps as the flags say; write and print the table.

    Raises:
        ModelError: a flag that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id)
    torch.manual_seed(args.seed)
    config = BenchmarkConfig(size=args.size, batch_sizes=(args.batch_size,), warmup=args.warmup, repeats=args.repeats)
    model = create_model(args.model, **backbone_option(args.model, args.backbone))
    times = measure_steps(model, args.rows or default_rows(args.amp, device), config=config, device=device)
    text = (
        f"Training {' '.join(filter(None, (args.model, args.backbone)))} at {args.size} x {args.size}, batch "
        f"{args.batch_size}, on {device_name(device)}: milliseconds an image, median / 95th percentile of "
        f"{args.repeats} steps; the speedup is the median over steps taken in turn.\n\n{steps_table(times)}"
    )
    content = {"model": args.model, "backbone": args.backbone, "config": dataclasses.asdict(config)}
    write_report(
        args.out, "steps", text=text, device=device, **content, rows=[dataclasses.asdict(row) for row in times]
    )


def default_rows(amp: str, device: torch.device) -> tuple[str, ...]:
    if device.type == "cuda":
        return "float32", "bf16", "bf16+compile"
    return ("float32",) if amp == "off" else ("float32", amp)


@dataclass(frozen=True)
class StepTimes:
    """A row of the table; one that could not be measured has only `name` and `reason`.

    Attributes:
        name: how the steps were made.
        time: milliseconds an image.
        images_per_second: at the median time.
        speedup: the plain loop's time over this one's, the median over steps taken in turn.
        peak_fraction: of what the GPU can do at most; None where that is not known.
        reason: why there are no times.
    """

    name: str
    time: Timing | None = None
    images_per_second: float | None = None
    speedup: float | None = None
    peak_fraction: float | None = None
    reason: str = ""


@dataclass
class Variant:
    """A way to train.

    Attributes:
        name: as it stands in the table.
        step: makes one update.
        half: whether it computes in half precision.
        seconds: that its steps took.
        reason: why it does not work here; empty as long as it does.
    """

    name: str
    step: Callable[[], None]
    half: bool = False
    seconds: list[float] = field(default_factory=list)
    reason: str = ""

    def measure(self, device: torch.device, *, counts: bool) -> None:
        """Make one step, unless one failed before, and keep its time where it `counts`."""
        if self.reason:
            return
        try:
            taken = time_calls(self.step, device=device, warmup=0, repeats=1)
        except torch.cuda.OutOfMemoryError:
            self.reason = "not enough GPU memory"
            return
        self.seconds += list(taken) if counts else []

    def fail(self, reason: str) -> None:
        self.reason = reason


def measure_steps(
    model: nn.Module, rows: Sequence[str], *, config: BenchmarkConfig, device: torch.device
) -> list[StepTimes]:
    """Time steps of the plain loop and of the trainer in each of `rows`, one of each in turn, from the same weights.

    Args:
        rows: of `ROWS`.
        config: a size, and one batch size, at least 2.

    Raises:
        ModelError: a size the network cannot take.
    """
    (batch,), size = config.batch_sizes, config.size
    counted = copy.deepcopy(model).eval()
    macs = count_macs(counted, size)
    loss = DeepSupervision(structure_loss, dict.fromkeys(counted(torch.zeros(1, 3, size, size)), 1.0))
    image = torch.randn(batch, 3, size, size, device=device)
    mask = (torch.rand(batch, 1, size, size, device=device) > 0.5).float()
    plain = plain_form(copy.deepcopy(model)).to(device).train()
    variants = [Variant(PLAIN, plain_step(plain, image, mask))]
    variants += [trainer_variant(row, copy.deepcopy(model), loss, image, mask) for row in rows]
    for repeat in tqdm(range(-config.warmup, config.repeats), desc="steps of each", unit="step", disable=None):
        for each in variants:
            each.measure(device, counts=repeat >= 0)
    return [summarize_steps(each, variants[0], macs=macs, batch=batch, device=device) for each in variants]


def trainer_variant(row: str, model: nn.Module, loss: DeepSupervision, image: Tensor, mask: Tensor) -> Variant:
    """The trainer's step in the precision that `row` names."""
    precision, _, compiling = row.partition("+")
    config = TrainConfig(amp="off" if precision == "float32" else precision)
    step = TrainStep(model.train(), loss, config=config, device=image.device)
    inputs = {"image": image.contiguous(memory_format=torch.channels_last)}
    found = Variant(
        f"trainer, {precision}{', compiled' if compiling else ''}",
        lambda: step(inputs, mask, images=len(image)),
        half=precision != "float32",
    )
    if compiling:
        compiled(step.model, note=found.fail)
    if precision == "bf16" and image.is_cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        found.fail("this GPU has no bfloat16")
    return found


def summarize_steps(found: Variant, plain: Variant, *, macs: int, batch: int, device: torch.device) -> StepTimes:
    """A row of the table. `macs` are of one image's forward."""
    if found.reason or plain.reason:
        return StepTimes(found.name, reason=found.reason or f"the plain loop: {plain.reason}")
    time, seconds = summarize_times(np.array(found.seconds), batch), np.array(found.seconds)
    images_per_second, peak = 1000 / time.median, peak_flops(device, half=found.half)
    return StepTimes(
        found.name,
        time=time,
        images_per_second=images_per_second,
        speedup=float(np.median(np.array(plain.seconds) / seconds)),
        peak_fraction=peak and FLOPS_A_MAC * macs * images_per_second / peak,
    )


def steps_table(times: Sequence[StepTimes]) -> str:
    """A Markdown table, one way to train a row."""
    rows = [
        (row.name, row.reason, "", "", "")
        if row.time is None
        else (
            row.name,
            format_timing(row.time),
            f"{row.images_per_second:.2f}",
            f"{row.speedup:.2f} x",
            f"{row.peak_fraction:.1%}" if row.peak_fraction else "peak not known",
        )
        for row in times
    ]
    return markdown_table(("training", "ms an image", "images a second", "speedup", "of the peak"), rows) + "\n"
