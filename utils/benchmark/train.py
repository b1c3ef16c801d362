"""How long a training step takes: `python -m utils benchmark train`.

Steps of the trainer on a batch that lies on the device, beside a step of a plain eager loop of the same network on the
same batch (`plain_loop`), one of each in turn. A step counts as 3 x forward multiply-adds x 2 FLOP: the backward pass
takes twice the forward. The share of the peak is of the data sheet's float32 or half-precision rate; PyTorch lets
convolutions in float32 use TF32, so theirs may seem high.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lib import create_model
from measure.io import InputError, markdown_table

from ..commands import add_device_flags
from ..runtime import choose_device, compiled
from ..training import DeepSupervision, Trainer, TrainOptions, structure_loss
from .networks import count_macs
from .peak import peak_flops
from .plain_loop import plain_form, plain_step
from .report import write_report
from .timing import Course, Timing, device_name, own_options, shown, timed, timing

__all__ = ["ROWS", "StepTimes", "add_flags", "measure_steps", "run"]

PLAIN = "plain eager loop, float32"
ROWS = ("float32", "bf16", "fp16", "float32+compile", "bf16+compile", "fp16+compile")
FLOPS_A_MAC = 3 * 2  # forward and twice that backward; a multiplication and an addition


def add_flags(verbs: argparse._SubParsersAction) -> None:
    """Add the verb `train`."""
    parser = verbs.add_parser(
        "train",
        help="time a training step beside a plain eager loop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--model", default="sepnet", help="network (default: sepnet)")
    parser.add_argument("--backbone", help="of the network (default: its own)")
    parser.add_argument("--size", type=int, default=352, help="input height and width, pixels (default: 352)")
    parser.add_argument("--batch_size", type=int, default=4, help="images a step (default: 4)")
    parser.add_argument("--warmup", type=int, default=2, help="steps of each before time is taken (default: 2)")
    parser.add_argument("--repeats", type=int, default=7, help="steps of each whose time is taken (default: 7)")
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=ROWS,
        help="how the trainer trains (default: float32 and --amp; with CUDA float32 bf16 bf16+compile; compiling for a "
        "CPU takes minutes)",
    )
    parser.add_argument("--out", type=Path, default=Path("result/benchmark"), help="folder for steps.json and steps.md")
    add_device_flags(parser)


def run(args: argparse.Namespace) -> None:
    """Time training steps as the flags say; write and print the table.

    Raises:
        InputError, ModelError: a flag that cannot be used.
    """
    device = choose_device(args.device, args.gpu_id)
    if min(args.batch_size - 1, args.repeats) < 1 or args.warmup < 0:
        raise InputError("--batch_size must be at least 2, --repeats at least 1, --warmup at least 0")
    torch.manual_seed(args.seed)
    course = Course(size=args.size, batch_sizes=(args.batch_size,), warmup=args.warmup, repeats=args.repeats)
    model = create_model(args.model, **own_options(args.model, args.backbone))
    times = measure_steps(model, args.rows or default_rows(args.amp, device), course=course, device=device)
    text = (
        f"Training {' '.join(filter(None, (args.model, args.backbone)))} at {args.size} x {args.size}, batch "
        f"{args.batch_size}, on {device_name(device)}: milliseconds an image, median / 95th percentile of "
        f"{args.repeats} steps; the ratio is the median over steps taken in turn.\n\n{table(times)}"
    )
    content = {"model": args.model, "backbone": args.backbone, "course": dataclasses.asdict(course)}
    write_report(
        args.out, "steps", text=text, device=device, **content, rows=[dataclasses.asdict(row) for row in times]
    )


def default_rows(amp: str, device: torch.device) -> tuple[str, ...]:
    if device.type == "cuda":
        return "float32", "bf16", "bf16+compile"
    return ("float32",) if amp == "off" else ("float32", amp)


@dataclass(frozen=True)
class StepTimes:
    """A row: time an image, images a second, times the plain loop's speed, share of the peak where that is known.

    A row that could not be measured has only `why_not`.
    """

    name: str
    time: Timing | None = None
    rate: float | None = None
    ratio: float | None = None
    share: float | None = None
    why_not: str = ""


@dataclass
class Contender:
    """A way to train, with the seconds that its steps took, or why it does not work here."""

    name: str
    step: Callable[[], None]
    half: bool = False
    seconds: list[float] = field(default_factory=list)
    why_not: str = ""

    def race(self, device: torch.device, *, counts: bool) -> None:
        """Make one step, unless one failed before."""
        if self.why_not:
            return
        try:
            taken = timed(self.step, device=device, warmup=0, repeats=1)
        except torch.cuda.OutOfMemoryError:
            self.why_not = "not enough GPU memory"
            return
        self.seconds += list(taken) if counts else []

    def fail(self, why: str) -> None:
        self.why_not = why


def measure_steps(model: nn.Module, rows: Sequence[str], *, course: Course, device: torch.device) -> list[StepTimes]:
    """Time steps of the plain loop and of the trainer in each of `rows`, one of each in turn, from the same weights.

    Args:
        rows: of `ROWS`. course: a size, and one batch size, at least 2.

    Raises:
        ModelError: a size the network cannot take.
    """
    (batch,), size = course.batch_sizes, course.size
    counted = copy.deepcopy(model).eval()
    macs = count_macs(counted, size)
    loss = DeepSupervision(structure_loss, dict.fromkeys(counted(torch.zeros(1, 3, size, size)), 1.0))
    image = torch.randn(batch, 3, size, size, device=device)
    mask = (torch.rand(batch, 1, size, size, device=device) > 0.5).float()
    with ExitStack() as stack:
        plain = plain_form(copy.deepcopy(model)).to(device).train()
        contenders = [Contender(PLAIN, plain_step(plain, image, mask))]
        contenders += [contender(row, copy.deepcopy(model), loss, image, mask, stack) for row in rows]
        for number in tqdm(range(-course.warmup, course.repeats), desc="steps of each", unit="step", disable=None):
            for each in contenders:
                each.race(device, counts=number >= 0)
    return [summary(each, contenders[0], macs=macs, batch=batch, device=device) for each in contenders]


def contender(
    row: str, model: nn.Module, loss: DeepSupervision, image: Tensor, mask: Tensor, stack: ExitStack
) -> Contender:
    """The trainer's step in the precision that `row` names; `stack` ends what it holds."""
    precision, _, compiling = row.partition("+")
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    trainer = trainer_of(model, loss, precision, folder=folder, device=image.device)
    stack.callback(trainer.close)
    inputs = {"image": image.contiguous(memory_format=torch.channels_last)}
    found = Contender(
        f"trainer, {precision}{', compiled' if compiling else ''}",
        lambda: trainer.train_step(inputs, mask, images=len(image)),
        half=precision != "float32",
    )
    if compiling:
        compiled(trainer.model, note=found.fail)
    if precision == "bf16" and image.is_cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        found.fail("this GPU has no bfloat16")
    return found


def trainer_of(
    model: nn.Module, loss: DeepSupervision, precision: str, *, folder: str, device: torch.device
) -> Trainer:
    """A trainer with the released options, for single steps: it has nothing to load and nothing to validate on."""
    return Trainer(
        model.train(),
        loss,
        training=range(2),
        validation=None,
        options=TrainOptions(amp="off" if precision == "float32" else precision, workers=0),
        folder=folder,
        device=device,
        config={},
    )


def summary(found: Contender, plain: Contender, *, macs: int, batch: int, device: torch.device) -> StepTimes:
    """A row of the table. `macs` are of one image's forward."""
    if found.why_not or plain.why_not:
        return StepTimes(found.name, why_not=found.why_not or f"the plain loop: {plain.why_not}")
    time, seconds = timing(np.array(found.seconds), batch), np.array(found.seconds)
    rate, peak = 1000 / time.median, peak_flops(device, half=found.half)
    return StepTimes(
        found.name,
        time=time,
        rate=rate,
        ratio=float(np.median(np.array(plain.seconds) / seconds)),
        share=peak and FLOPS_A_MAC * macs * rate / peak,
    )


def table(times: Sequence[StepTimes]) -> str:
    """A Markdown table, one way to train a row."""
    rows = [
        (row.name, row.why_not, "", "", "")
        if row.time is None
        else (
            row.name,
            shown(row.time),
            f"{row.rate:.2f}",
            f"{row.ratio:.2f} x",
            f"{row.share:.1%}" if row.share else "peak not known",
        )
        for row in times
    ]
    return markdown_table(("training", "ms an image", "images a second", "speed", "share of peak"), rows) + "\n"
