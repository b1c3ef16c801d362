"""From a weight file to a file for another runtime, compared with PyTorch before it takes its place."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from measure.io import InputError, make_folder, write_bytes

from ...data import normalize
from ..inputs import prepared
from ..network import TrainedNetwork, load_network
from .clip_exporting import export_clip_graphs
from .graph import GraphNetwork
from .names import needed
from .onnx_file import export_onnx, quantize, read_facts
from .parity import Run, compare_outputs, reference_outputs
from .program_file import export_program
from .sessions import OnnxNetwork

__all__ = ["export_graph"]

BOUND, BOUND_INT8 = 1e-3, 0.02  # probability; of int8 the mean over pixels
BOUND_PROCESSING = 0.01  # resized images are rounded to 8 bits, and near-ties fall to either side
# rounding chooses which of almost equally similar entries a pixel reads: of SALI at 352 pixels single pixels differ by
# .0025 (1e-6 on average), and PyTorch's own by .001 between float32 and float64
BOUND_VIDEO = 0.01


def export_graph(
    weights: str | Path,
    out: str | Path,
    *,
    images: Sequence[np.ndarray],
    size: int | None = None,
    model: str | None = None,
    backbone: str | None = None,
    processing: bool = False,
    int8: bool = False,
    bound: float | None = None,
) -> str:
    """Write a network as ONNX (.onnx) or as a torch.export program (.pt2), and compare it with PyTorch.

    A video network becomes two ONNX files beside one another, `<stem>.encode.onnx` and `<stem>.step.onnx`.

    Args:
        weights: a checkpoint of ours, or a published file with its `model` and `backbone`.
        out: file to write; its suffix chooses the form.
        images: (H, W, 3) uint8 RGB, to compare on and, with `int8`, to measure ranges on; a video network takes them
            for frames of a clip, two at least.
        size: height and width of the input, pixels; None: as trained.
        processing: see `GraphNetwork`.
        int8: 8-bit weights and activations.
        bound: difference of a probability from which the export is refused, of int8 the mean over pixels.

    Returns:
        What to tell of it, in a line.

    Raises:
        InputError: a package is missing, the export differs from PyTorch by more than the bound, or no place to write.
        ModelError: a file or a network that cannot be used.
    """
    out = Path(out)
    if out.suffix == ".onnx":
        needed("an export to ONNX", "onnx", "onnxscript", "onnxruntime")
    network = load_network(weights, name=model, options={"backbone": backbone} if backbone else None, size=size)
    if network.model.kind == "video":
        if processing or int8 or out.suffix != ".onnx":
            raise InputError(
                f"{weights} is of {network.model.name}, a video network; it is exported as .onnx, in float32 and "
                "without processing"
            )
        frames = [graph_input(image, network, processing=False) for image in images]
        return export_clip_graphs(network, out, frames=frames, bound=bound or BOUND_VIDEO)
    make_folder(out.parent)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / out.name
        write = export_onnx if out.suffix == ".onnx" else export_program
        graph = write(network, draft, processing=processing)
        inputs = [graph_input(image, network, processing) for image in images]
        if int8:
            quantize(draft, draft, inputs)
        told = compared(graph, runner(draft), inputs, bound, int8=int8)
        write_bytes(draft.read_bytes(), out)
    return f"{out.stat().st_size / 1e6:.1f} MB; {told}"


def graph_input(image: np.ndarray, network: TrainedNetwork, processing: bool) -> np.ndarray:
    """What a graph takes of one image."""
    if processing:
        return image[None]
    return normalize(prepared(image, network.size, crop_border=False)[0][None]).numpy()


def runner(path: Path) -> Run:
    """Run a written file on one input."""
    if path.suffix == ".onnx":
        return OnnxNetwork(path, read_facts(path)).run
    module: Callable[[torch.Tensor], torch.Tensor] = torch.export.load(path).module()
    return lambda array: module(torch.from_numpy(array)).detach().numpy()


def compared(graph: GraphNetwork, run: Run, inputs: Sequence[np.ndarray], bound: float | None, *, int8: bool) -> str:
    """Compare on all inputs, and see that two at once are taken; the sentence that says how far apart they are.

    Raises:
        InputError: farther than the bound.
    """
    found = compare_outputs(run, inputs, reference_outputs(graph, inputs), logits=not graph.processing)
    told = f"{found.told}, on {found.images} images"
    bound = bound or (BOUND_INT8 if int8 else BOUND_PROCESSING if graph.processing else BOUND)
    if not (found.mean if int8 else found.greatest) <= bound:
        kind = "mean" if int8 else "greatest"
        raise InputError(f"the export was not kept: {told}; the {kind} may be {bound:g}, --bound allows another")
    pair = np.concatenate([inputs[0], inputs[0]])
    both = run(pair)
    if both.shape[0] != 2 or np.abs(both[0] - both[1]).max() > bound:
        raise InputError("the export was not kept: it takes no two images at once")
    return told
