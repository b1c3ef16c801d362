"""What a GPU does in a training step: launches, waits of the host, the share of the time in which it computes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import DeviceType, ProfilerActivity, profile

__all__ = ["StepProfile", "count_events", "peak_memory", "profile_steps"]

STEPS = 3
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize")  # the whole device is synchronized by the measurement itself
TOP = 12  # kernels that are named


@dataclass(frozen=True)
class StepProfile:
    """Of one step, the mean of three.

    Attributes:
        launches: kernels, copies and graphs that the host starts.
        waits: how often the host waits for the device.
        busy: the share of the time in which the device computes, without the profiler.
        kernels: milliseconds a step of those that take longest, by name.
    """

    launches: float
    waits: float
    busy: float
    kernels: dict[str, float]


def profile_steps(step: Callable[[], None], device: torch.device) -> StepProfile:
    """Run some steps, first timed, then under PyTorch's profiler."""
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    for _ in range(STEPS):
        step()
    torch.cuda.synchronize(device)
    seconds = time.perf_counter() - started
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize(device)
    calls, times = count_events(trace.events())
    return StepProfile(
        launches=sum(count for name, count in calls.items() if name.startswith(LAUNCHES)) / STEPS,
        waits=sum(count for name, count in calls.items() if name.startswith(WAITS)) / STEPS,
        busy=min(1.0, times.total() / 1e6 / seconds),
        kernels={name[:100]: round(time / 1e3 / STEPS, 4) for name, time in times.most_common(TOP)},
    )


def count_events(events: Iterable[FunctionEvent]) -> tuple[Counter[str], Counter[str]]:
    """How often the host called what, and the microseconds of what the GPU did, by name."""
    calls: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for event in events:
        if event.device_type != DeviceType.CUDA:
            calls[event.name] += 1
        elif not getattr(event, "is_user_annotation", False):  # one spans the kernels of an optimizer's step
            times[event.name] += event.self_device_time_total
    return calls, times


@contextmanager
def peak_memory(device: torch.device) -> Iterator[list[int]]:
    """Yield a list that gets the most bytes that tensors took in the block beyond those before it; none on a CPU."""
    found: list[int] = []
    if device.type != "cuda":
        yield found
        return
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    yield found
    found.append(torch.cuda.max_memory_allocated(device) - before)
