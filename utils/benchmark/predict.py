"""How fast networks of images predict, and how large they are: parameters, multiply-adds, milliseconds an image.

MACs count one multiplication with its addition, of convolutions and matrix products: half of what FlopCounterMode
counts.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from lib import create_model, list_models, model_entry
from measure.io import STILLS, InputError, images_by_stem, markdown_table

from ..data import worker_count
from ..phantom import write_stills
from ..prediction import PredictOptions, image_maps, predict_maps, write_map
from ..runtime import autocast, check_cuda_graphs, choose_device, record_calls
from ..training import recipe_for
from .options import PredictBenchmark
from .report import conditions, unrecorded, write_report
from .timing import BenchmarkConfig, Timing, backbone_option, format_timing, summarize_times, time_calls

__all__ = ["ModelTimes", "count_macs", "measure_model", "parameters", "start"]

PHANTOMS = 24  # images made where none are given
PHANTOM_SIZE = (480, 640)  # height and width, pixels


def start(options: PredictBenchmark) -> None:
    """Time the networks; write and print the table.

    Raises:
        InputError, ModelError: an option or folder that cannot be used.
    """
    device = choose_device(options.device, options.gpu_id)
    config = BenchmarkConfig(
        size=options.size,
        batch_sizes=options.batch_sizes,
        warmup=options.warmup,
        repeats=options.repeats,
        amp=options.amp,
        workers=worker_count(options.workers, device),
        cuda_graphs=options.cuda_graphs,
    )
    with ExitStack() as stack:
        torch.manual_seed(options.seed)
        paths = list(images_by_stem(options.images or phantom_folder(stack, seed=options.seed)).values())
        times = [
            measure_model(name, paths, config=config, device=device, **backbone_option(name, options.backbone))
            for name in tqdm(options.models or list_models("image"), desc="networks", unit="network", disable=None)
        ]
    write_prediction_times(times, Path(options.out), device=device, config=config, images=len(paths))


def phantom_folder(stack: ExitStack, *, seed: int) -> Path:
    """A folder of phantom images, drawn by `seed`, that lasts as long as `stack`."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    write_stills(folder, count=PHANTOMS, seed=seed, size=PHANTOM_SIZE, set_name="benchmark")  # the folder's is random
    return folder / STILLS.images


@dataclass(frozen=True)
class ModelTimes:
    """What is known of a network's speed; MACs are multiply-adds of one image.

    Attributes:
        model: the network's name.
        options: its own, such as `backbone`.
        size: input height and width, pixels.
        parameters: of the inference network.
        macs: of the inference network.
        training_parameters: of the training network, which may have branches that inference drops.
        training_macs: of the training network.
        forward: at batch 1.
        best_forward: at the batch with the lowest median.
        files: from image file to map file, at batch 1.
        best_files: mean milliseconds an image of a whole folder, at the batch of `best_forward`.
        not_recorded: why these times are without CUDA graphs where they were asked for; "" where nothing went wrong.
    """

    model: str
    options: dict[str, Any]
    size: int
    parameters: int
    macs: int
    training_parameters: int
    training_macs: int
    forward: Timing
    best_forward: Timing
    files: Timing
    best_files: float
    not_recorded: str = ""


def count_macs(model: nn.Module, size: int) -> int:
    """Multiply-adds of the convolutions and matrix products (attention among them) in one forward of one image."""
    image = torch.zeros(1, 3, size, size, device=next(model.parameters()).device)
    # attention in its plain form: fused kernels are not counted by every version of PyTorch
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(image)
    return counter.get_total_flops() // 2


def measure_model(
    name: str, paths: Sequence[Path], *, config: BenchmarkConfig, device: torch.device, **options: Any
) -> ModelTimes:
    """Time one network.

    Args:
        name: of the network.
        paths: images for the times with files.
        config: how times are taken.
        device: where the network runs.
        options: the network's own, such as `backbone`.

    Raises:
        ModelError: an unknown network or option.
        InputError: a video network, or a size it cannot take.
    """
    entry = model_entry(name)
    size = config.size or recipe_for(name).config.train_size
    check_cuda_graphs(config.cuda_graphs, device)
    if entry.kind != "image":
        raise InputError(f"{name} is a video network; networks of images are {', '.join(list_models('image'))}")
    entry.network.check_side(size, flag="--size")
    training = create_model(name, **options).eval()
    inference = create_model(name, **options, aux=False).eval() if "aux" in entry.options else training
    counts = {
        "parameters": parameters(inference),
        "macs": count_macs(inference, size),
        "training_parameters": parameters(training),
        "training_macs": count_macs(training, size),
    }
    model = inference.to(device, memory_format=torch.channels_last)
    recorded = record_calls(model) if config.cuda_graphs else None
    forwards = list(time_forwards(model, size, config=config, device=device))
    best = min(forwards, key=lambda found: found.median)
    files, best_files = time_files(model, paths, size, best.batch, config=config, device=device)
    return ModelTimes(
        model=name,
        options=options,
        size=size,
        **counts,
        forward=forwards[0],
        best_forward=best,
        files=files,
        best_files=best_files,
        not_recorded=recorded.failure if recorded else "",
    )


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@torch.inference_mode()
def time_forwards(model: nn.Module, size: int, *, config: BenchmarkConfig, device: torch.device) -> Iterator[Timing]:
    """Time the forward at batch 1, then at the batch sizes of the config while they fit in memory."""
    for batch in dict.fromkeys((1, *config.batch_sizes)):
        image = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)

        def forward(image: torch.Tensor = image) -> None:
            with autocast(device, config.amp):
                model(image)

        try:
            seconds = time_calls(forward, device=device, warmup=config.warmup, repeats=config.repeats)
        except torch.cuda.OutOfMemoryError:
            return
        yield summarize_times(seconds, batch)


def time_files(
    model: nn.Module, paths: Sequence[Path], size: int, batch: int, *, config: BenchmarkConfig, device: torch.device
) -> tuple[Timing, float]:
    """Time image file to map file: one after the other, and a whole folder at the best batch (mean milliseconds)."""
    with tempfile.TemporaryDirectory() as folder:
        single = PredictOptions(size=size, batch_size=1, amp=config.amp, workers=0)
        maps = image_maps(
            model, [paths[i % len(paths)] for i in range(config.warmup + config.repeats)], options=single, device=device
        )
        each = time_calls(
            lambda: write_map(Path(folder) / "map.png", next(maps).maps[""]),
            device=device,
            warmup=config.warmup,
            repeats=config.repeats,
        )
        whole = PredictOptions(size=size, batch_size=batch, amp=config.amp, workers=config.workers)
        sets = {"images": {path.stem: path for path in paths}}
        mean = time_calls(
            lambda: predict_maps(model, sets, folder, options=whole, device=device), device=device, warmup=1, repeats=1
        )
    return summarize_times(each, 1), 1000 * float(mean[0]) / len(paths)


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
