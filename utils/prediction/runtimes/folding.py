"""Batch normalizations folded into the convolutions before them: the same outputs with fewer passes over the maps."""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lib import Network

from .graph import GraphNetwork
from .onnx_file import quiet

__all__ = ["fold_batch_norms"]

CONVOLUTION = torch.ops.aten.conv2d.default
# as newer and older versions of PyTorch export it
NORMALIZATIONS = (torch.ops.aten.batch_norm.default, torch.ops.aten._native_batch_norm_legit_no_training.default)


def fold_batch_norms(network: Network, size: int) -> Network:
    """Return a copy of an image network whose convolutions do what the batch normalizations behind them did.

    A normalization stays where it does not follow a convolution, where something else reads the convolution's result
    too, and where either is used more than once.

    Args:
        network: in evaluation.
        size: height and width of its input, pixels.
    """
    folded = copy.deepcopy(network).eval()
    for conv_name, norm_name in foldable(folded, size):
        conv, norm = folded.get_submodule(conv_name), folded.get_submodule(norm_name)
        replace(folded, conv_name, fuse_conv_bn_eval(conv, norm))
        # timm keeps the activation in the module of the normalization
        replace(folded, norm_name, getattr(norm, "act", None) or nn.Identity())
    return folded


def foldable(network: Network, size: int) -> list[tuple[str, str]]:
    """Names of convolutions and of the normalizations that alone read what they give."""
    graph = GraphNetwork(network, size, processing=False)
    with quiet(), torch.no_grad():
        program = torch.export.export(graph, (graph.example(),))
    parameters = program.graph_signature.inputs_to_parameters
    nodes = program.graph_module.graph.nodes

    def owner(node: torch.fx.Node) -> str:
        """The module whose weight an operation takes, as the network calls it."""
        return parameters.get(node.args[1].name, "").removeprefix("network.").removesuffix(".weight")

    uses = Counter(owner(node) for node in nodes if node.target in (CONVOLUTION, *NORMALIZATIONS))
    pairs = [
        (owner(node.args[0]), owner(node))
        for node in nodes
        if node.target in NORMALIZATIONS and node.args[0].target is CONVOLUTION and len(node.args[0].users) == 1
    ]
    return [pair for pair in pairs if all(name and uses[name] == 1 for name in pair)]


def replace(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of another."""
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)
