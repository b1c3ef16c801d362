"""How long a training step takes: `python -m utils.benchmark train`.

A step of the trainer on a batch that lies on the device, beside a step of a plain eager loop of the same network on the
same batch, in turn.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import create_model
from measure.errors import InputError

from ..cli import choose_device
from ..losses import DeepSupervision, structure_loss
from ..options import add_device_flags
from ..train_options import TrainOptions
from ..trainer import Trainer
from .timing import Course, Timing, device_name, own_options, shown, timed, timing

__all__ = ["StepTimes", "add_flags", "measure_step", "plain_step", "run"]


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
    parser.add_argument("--warmup", type=int, default=2, help="pairs of steps before time is taken (default: 2)")
    parser.add_argument("--repeats", type=int, default=7, help="pairs of steps whose time is taken (default: 7)")
    add_device_flags(parser)


def run(args: argparse.Namespace) -> None:
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
        f"{device_name(device)}: milliseconds an image, median / 95th percentile of {args.repeats}\n"
        f"plain eager loop, float32: {shown(times.plain)}\n"
        f"trainer, {args.amp if args.amp != 'off' else 'float32'}: {shown(times.ours)}\n"
        f"{times.ratio:.2f} x as fast (median over pairs of steps)"
    )


@dataclass(frozen=True)
class StepTimes:
    """Milliseconds an image of a step; `ratio` is the median over pairs of plain over ours."""

    model: str
    options: dict[str, Any]
    size: int
    plain: Timing
    ours: Timing
    ratio: float


def measure_step(
    name: str, *, size: int, batch: int, course: Course, device: torch.device, **options: Any
) -> StepTimes:
    """Time steps of the trainer and of `plain_step`, one of each in turn; both start from the same weights.

    Args:
        size: input height and width, pixels. batch: images a step. options: the network's own, such as `backbone`.

    Raises:
        ModelError: an unknown network or option, or a size it cannot take.
    """
    plain = create_model(name, **options).to(device).train()
    model = create_model(name, **options)
    model.load_state_dict(plain.state_dict())
    image = torch.randn(batch, 3, size, size, device=device)
    mask = (torch.rand(batch, 1, size, size, device=device) > 0.5).float()
    weights = dict.fromkeys(plain(image), 1.0)
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(model, weights, folder=folder, amp=course.amp, device=device)
        inputs = {"image": image.contiguous(memory_format=torch.channels_last)}
        optimizer = torch.optim.Adam(plain.parameters(), 1e-4, weight_decay=1e-4, foreach=False, fused=False)
        seconds = np.empty((2, course.repeats))
        for pair in range(-course.warmup, course.repeats):
            steps = (lambda: plain_step(plain, optimizer, image, mask), lambda: trainer.train_step(inputs, mask, images=batch))
            for row, step in enumerate(steps):
                taken = timed(step, device=device, warmup=0, repeats=1)[0]
                if pair >= 0:
                    seconds[row, pair] = taken
        trainer.close()
    ratio = float(np.median(seconds[0] / seconds[1]))
    return StepTimes(name, options, size, timing(seconds[0], batch), timing(seconds[1], batch), ratio)


def trainer_of(model: nn.Module, weights: dict[str, float], *, folder: str, amp: str, device: torch.device) -> Trainer:
    """A trainer with the released options, for single steps: it has nothing to load and nothing to validate on."""
    trainer = Trainer(
        model,
        DeepSupervision(structure_loss, weights),
        training=range(2),
        validation=None,
        options=TrainOptions(amp=amp, workers=0),
        folder=folder,
        device=device,
        config={},
    )
    trainer.model.train()
    return trainer


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, image: Tensor, mask: Tensor) -> None:
    """One update as scripts of this field write it: float32, a mask resized for every output, Adam tensor by tensor."""
    loss = torch.zeros((), device=image.device)
    for logits in model(image).values():
        target = F.interpolate(mask, size=logits.shape[-2:], mode="bilinear", align_corners=True)
        loss = loss + structure_loss(logits, target)
    optimizer.zero_grad()
    loss.backward()
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.clamp_(-0.5, 0.5)
    optimizer.step()
    loss.item()
