"""PyTorch's own exported programs, `.pt2`: `torch.export.load(path).module()` runs them without this code."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from measure.io import make_folder

from ...runtime import tensors_when_whole
from ..network import TrainedNetwork
from .graph import GraphNetwork
from .onnx_file import FACTS, facts_of, quiet

__all__ = ["export_program"]


def export_program(network: TrainedNetwork, out: str | Path, *, processing: bool = False) -> GraphNetwork:
    """Write an image network as a torch.export program, with any number of images a forward.

    Args:
        network: see `load_network`.
        out: file to write.
        processing: see `GraphNetwork`.

    Returns:
        The network as it was written, to compare with.

    Raises:
        InputError: the file cannot be written.
    """
    graph = GraphNetwork(network.model, network.size, processing=processing)
    with quiet(), torch.no_grad():
        program = torch.export.export(graph, (graph.example(),), dynamic_shapes=graph.dynamic_shapes())
    make_folder(Path(out).parent)
    with tensors_when_whole(out) as file:
        torch.export.save(program, file, extra_files={FACTS: json.dumps(facts_of(network, processing=processing))})
    return graph
