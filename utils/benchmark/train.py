"""Time steps of the trainer, in every way that is asked for, beside a plain eager loop."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lib import create_model
from measure.io import InputError, markdown_table

from ..runtime import Compilation, Recorded, check_cuda_graphs, choose_device, failure_reason, kernels
from ..training import DeepSupervision, TrainConfig, TrainStep, structure_loss
from .options import PRECISIONS, SWITCHES, TrainBenchmark
from .plain.step import plain_form, plain_step
from .predict import count_macs
from .profile import StepProfile, peak_memory, profile_steps
from .rates import peak_flops
from .report import write_report
from .timing import Timing, backbone_option, device_name, format_timing, summarize_times, time_calls

__all__ = ["StepTimes", "measure_steps", "start"]

PLAIN = "plain eager loop, float32"
FLOPS_A_MAC = 3 * 2  # forward and twice that backward; a multiplication and an addition


def start(options: TrainBenchmark) -> None:
    """Time training steps; write and print the table.

    Raises:
        InputError, ModelError: an option that cannot be used.
    """
    configs = {row: config_of_row(row, options) for row in options.ways}
    device = choose_device(options.device, options.gpu_id)
    check_cuda_graphs(any(config.cuda_graphs for config in configs.values()), device)
    torch.manual_seed(options.seed)
    model = create_model(options.model, **backbone_option(options.model, options.backbone))
    times = measure_steps(model, configs, options=options, device=device)
    text = (
        f"Training {' '.join(filter(None, (options.model, options.backbone)))} at {options.size} x {options.size}, "
        f"batch {options.batch_size}, on {device_name(device)}: milliseconds an image, median / 95th percentile of "
        f"{options.repeats} steps; the speedup is the median over steps taken in turn.\n\n{steps_table(times)}"
    )
    rows = [dataclasses.asdict(row) for row in times]
    write_report(Path(options.out), "steps", text=text, device=device, options=options.flags(), rows=rows)


def config_of_row(row: str, options: TrainBenchmark) -> TrainConfig:
    """The training options that a row names.

    Raises:
        InputError: it names something else.
    """
    precision, *switches = row.split("+")
    if precision not in PRECISIONS or not set(switches) <= set(SWITCHES):
        raise InputError(
            f"--rows {row} was given; expected {', '.join(PRECISIONS)}, with {', '.join(SWITCHES)} added by a +"
        )
    return TrainConfig(
        amp="off" if precision == "float32" else precision,
        batch_size=options.batch_size,
        ema=options.ema,
        tf32="tf32" in switches,
        cudnn_benchmark="cudnn" in switches,
        cuda_graphs="graph" in switches,
        compile="compile" in switches or "reduce-overhead" in switches,
        compile_mode="reduce-overhead" if "reduce-overhead" in switches else "default",
    )


@dataclass(frozen=True)
class StepTimes:
    """A row of the table; one that could not be measured has only `name` and `reason`.

    Attributes:
        name: how the steps were made.
        time: milliseconds an image.
        images_per_second: at the median time.
        speedup: the plain loop's time over this one's, the median over steps taken in turn.
        peak_fraction: of what the GPU can do at most; None where that is not known.
        first: seconds of the first step, compiling included.
        profile: what the GPU did in three steps; None on a CPU.
        memory: bytes, the most that a step took beyond what lay on the GPU before it; None on a CPU. The first step
            takes gradients and the optimizer's state, too.
        reason: why there are no times.
    """

    name: str
    time: Timing | None = None
    images_per_second: float | None = None
    speedup: float | None = None
    peak_fraction: float | None = None
    first: float | None = None
    profile: StepProfile | None = None
    memory: int | None = None
    reason: str = ""


@dataclass
class Variant:
    """A way to train.

    Attributes:
        name: as it stands in the table.
        step: makes one update.
        config: the trainer's options; the plain loop has those that switch nothing on.
        quick: what may give up being compiled or recorded, and then has a `failure`.
        seconds: that its steps took.
        first: seconds of the very first.
        profile: what the GPU did in three steps.
        memory: see `StepTimes`.
        reason: why it does not work here; empty as long as it does.
    """

    name: str
    step: Callable[[], None]
    config: TrainConfig = TrainConfig()
    quick: Sequence[Compilation | Recorded] = ()
    seconds: list[float] = field(default_factory=list)
    first: float | None = None
    profile: StepProfile | None = None
    memory: int | None = None
    reason: str = ""

    @property
    def half(self) -> bool:
        """Whether it computes in half precision."""
        return self.config.amp != "off"

    def measure(self, device: torch.device, *, counts: bool) -> None:
        """Make one step, unless one failed before, and keep its time where it `counts`."""
        if self.reason:
            return
        try:
            with self.kernels(), peak_memory(device) as peak:
                taken = time_calls(self.step, device=device, warmup=0, repeats=1)
        except torch.cuda.OutOfMemoryError:
            self.fail("not enough GPU memory")
            return
        except RuntimeError as error:  # a kernel that this GPU or library lacks must not cost the other rows
            self.fail(failure_reason(error))
            return
        self.memory = max([*peak, self.memory or 0]) if peak else None
        if failures := [part.failure for part in self.quick if part.failure]:
            self.fail(failures[0])
        self.first = self.first or float(taken[0])
        self.seconds += list(taken) if counts else []

    def look_closer(self, device: torch.device) -> None:
        """Profile some steps on a GPU."""
        if device.type != "cuda" or self.reason:
            return
        try:
            with self.kernels():
                self.profile = profile_steps(self.step, device)
        except RuntimeError as error:  # no memory for it, or no access to the GPU's counters: its times stay
            tqdm.write(f"{self.name} is not profiled: {failure_reason(error)}")

    def kernels(self) -> AbstractContextManager:
        return kernels(tf32=self.config.tf32, cudnn_benchmark=self.config.cudnn_benchmark)

    def fail(self, reason: str) -> None:
        self.reason = reason


def measure_steps(
    model: nn.Module, configs: Mapping[str, TrainConfig], *, options: TrainBenchmark, device: torch.device
) -> list[StepTimes]:
    """Time steps of the plain loop and of the trainer in every way, one of each in turn, from the same weights.

    Args:
        model: the network.
        configs: the trainer's options by the name of the way.
        options: size, batch, repetitions.
        device: where it trains.

    Raises:
        ModelError: a size the network cannot take.
    """
    batch, size = options.batch_size, options.size
    counted = copy.deepcopy(model).eval()
    macs = count_macs(counted, size)
    loss = DeepSupervision(structure_loss, dict.fromkeys(counted(torch.zeros(1, 3, size, size)), 1.0))
    image = torch.randn(batch, 3, size, size, device=device)
    mask = (torch.rand(batch, 1, size, size, device=device) > 0.5).float()
    plain = plain_form(copy.deepcopy(model)).to(device).train()
    variants = [Variant(PLAIN, plain_step(plain, image, mask))]
    for row, config in configs.items():
        variants.append(trainer_variant(row, config, copy.deepcopy(model), copy.deepcopy(loss), image, mask))
    for repeat in tqdm(range(-options.warmup, options.repeats), desc="steps of each", unit="step", disable=None):
        for each in variants:
            each.measure(device, counts=repeat >= 0)
    for each in variants:
        each.look_closer(device)
    return [summarize_steps(each, variants[0], macs=macs, batch=batch, device=device) for each in variants]


def trainer_variant(
    row: str, config: TrainConfig, model: nn.Module, loss: DeepSupervision, image: Tensor, mask: Tensor
) -> Variant:
    """The trainer's step with the options of a row."""
    step = TrainStep(model.train(), loss, config=config, device=image.device)
    inputs = {"image": image.contiguous(memory_format=torch.channels_last)}
    name = ", ".join(("trainer", *row.split("+")))
    quick = [*step.compiled, *([step.recorded] if step.recorded else [])]
    found = Variant(name, lambda: step(inputs, mask, images=len(image)), config, quick)
    if config.amp == "bf16" and image.is_cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
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
        first=found.first,
        profile=found.profile,
        memory=found.memory,
    )


def steps_table(times: Sequence[StepTimes]) -> str:
    """A Markdown table, one way to train a row."""
    rows = [
        (row.name, row.reason, *[""] * 7)
        if row.time is None
        else (
            row.name,
            format_timing(row.time),
            f"{row.images_per_second:.2f}",
            f"{row.speedup:.2f} x",
            f"{row.peak_fraction:.1%}" if row.peak_fraction else "peak not known",
            f"{row.first:.1f}",
            *(profile_cells(row.profile) if row.profile else ("", "")),
            f"{row.memory / 1e9:.1f} GB" if row.memory else "",
        )
        for row in times
    ]
    titles = ("training", "ms an image", "images a second", "speedup", "of the peak", "first step, s")
    return markdown_table((*titles, "launches a step", "GPU busy", "memory"), rows) + "\n"


def profile_cells(profile: StepProfile) -> tuple[str, str]:
    return f"{profile.launches:.0f}", f"{profile.busy:.0%}"
