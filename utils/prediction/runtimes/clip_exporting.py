"""A video network as two ONNX files, compared with PyTorch over a clip before they take their places."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from measure.io import InputError, make_folder, write_bytes

from ..config import WRITE_EVERY
from ..network import TrainedNetwork
from ..streaming import stream
from .clip_graphs import EncodeGraph, StepGraph
from .clip_sessions import OnnxClipNetwork, clip_files
from .onnx_file import facts_of, write_graph
from .parity import compare_outputs

__all__ = ["export_clip_graphs"]

WRITTEN = 2  # in the comparison every second frame is remembered, so that a short clip reads and writes


def export_clip_graphs(network: TrainedNetwork, out: Path, *, frames: Sequence[np.ndarray], bound: float) -> str:
    """Write both graphs of a video network, and compare them with PyTorch over a clip.

    Args:
        network: see `load_network`.
        out: what the files are named after, see `clip_files`.
        frames: (1, 3, S, S) float32, normalized RGB, in order; two at least.
        bound: difference of a probability from which the export is refused.

    Returns:
        What to tell of it, in a line.

    Raises:
        InputError: a package is missing, fewer than two frames, a network without memory, an export that differs from
            PyTorch by more than the bound, or no place to write.
    """
    if len(frames) < 2:
        raise InputError(f"{len(frames)} frames were given; a video network is compared on two at least")
    graphs = {"encode": EncodeGraph(network.model, network.size), "step": StepGraph(network.model, network.size)}
    files = clip_files(out)
    make_folder(out.parent)
    with tempfile.TemporaryDirectory() as folder:
        drafts = {part: Path(folder) / path.name for part, path in files.items()}
        for part, graph in graphs.items():
            told = {"part": part, "write_every": WRITE_EVERY, "weights_sha256": network.weights_sha256}
            facts = facts_of(network, precision="float32", **told)
            names = {"inputs": graph.input_names, "outputs": graph.output_names}
            write_graph(graph, graph.example(), drafts[part], facts, **names)
        exported = OnnxClipNetwork(drafts, facts)
        clip = (torch.from_numpy(frame[0]) for frame in frames)
        found = [logits[None].numpy() for logits in stream(exported, clip, write_every=WRITTEN)]
        told = compared(network, found, frames, bound)
        for part, path in files.items():
            write_bytes(drafts[part].read_bytes(), path)
    sizes = (f"{path.name} of {path.stat().st_size / 1e6:.1f} MB" for path in files.values())
    return f"{' and '.join(sizes)}; {told}"


def neighbors(count: int) -> list[int]:
    """The frame that each of a clip looks at: the one after it, of the last the one before it."""
    return [*range(1, count), count - 2]


def compared(network: TrainedNetwork, found: Sequence[np.ndarray], frames: Sequence[np.ndarray], bound: float) -> str:
    """Compare what the graphs gave with PyTorch; the sentence that says how far apart they are.

    Raises:
        InputError: farther than the bound.
    """
    reference, memory = [], None
    with torch.inference_mode():
        encodings = [network.model.encode(torch.from_numpy(frame)) for frame in frames]
        for number, following in enumerate(neighbors(len(frames))):
            write = number % WRITTEN == 0
            outputs, memory = network.model.step(encodings[number], encodings[following], memory, write=write)
            reference.append(outputs["out"].numpy())
    left = iter(found)
    parity = compare_outputs(lambda _: next(left), frames, reference, logits=True)
    told = f"{parity.told}, over a clip of {parity.images} frames"
    if not parity.greatest <= bound:
        raise InputError(f"the export was not kept: {told}; the greatest may be {bound:g}, --bound allows another")
    return told
