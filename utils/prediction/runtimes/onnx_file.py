"""ONNX files: a network written with what its use needs to know, in float32 or, calibrated on images, in 8 bits."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from measure.io import InputError, make_folder, write_bytes

from ..network import TrainedNetwork
from .graph import GraphNetwork
from .names import needed

__all__ = ["export_onnx", "facts_of", "quantize", "quiet", "read_facts", "write_graph"]

FACTS = "polyp_segmentation"  # the entry of the file's metadata that tells of it, JSON
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# in 8 bits: convolutions with the activations after them, so that ranges are measured behind the activations: in front
# of a ReLU6 the 256 steps would go to values that it cuts off
IN_EIGHT_BITS = ("Conv", "Relu", "Clip")


def facts_of(network: TrainedNetwork, *, processing: bool = False, **more: Any) -> dict[str, Any]:
    """What the user of an exported file needs to know: model, size, classes, whether processing is inside."""
    classes = str(network.classes) if network.classes else None
    return {
        "model": network.model.name,
        "size": network.size,
        "classes": classes,
        "processing": processing,
        **more,
    }


def export_onnx(network: TrainedNetwork, out: str | Path, *, processing: bool = False) -> GraphNetwork:
    """Write an image network as ONNX, with any number of images a forward.

    Args:
        network: see `load_network`.
        out: file to write.
        processing: see `GraphNetwork`.

    Returns:
        The network as it was written, to compare with.

    Raises:
        InputError: a package is missing, or the file cannot be written.
    """
    needed("ONNX", *PACKAGES)
    graph = GraphNetwork(network.model, network.size, processing=processing)
    facts = facts_of(network, processing=processing, precision="float32")
    write_graph(graph, (graph.example(),), out, facts, inputs=[graph.input_name], outputs=[graph.output_name])
    return graph


def write_graph(
    graph: nn.Module,
    example: tuple[Tensor, ...],
    out: str | Path,
    facts: dict[str, Any],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    """Trace a graph on an example and write it as ONNX.

    Args:
        graph: whose `dynamic_shapes` says which dimensions vary.
        example: what it takes.
        out: file to write.
        facts: for the file's metadata.
        inputs: names of what it takes.
        outputs: names of what it gives.

    Raises:
        InputError: the file cannot be written.
    """
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            example,
            dynamo=True,
            dynamic_shapes=graph.dynamic_shapes(),
            input_names=list(inputs),
            output_names=list(outputs),
            verbose=False,
        )
    write_model(program.model_proto, out, facts)


def write_model(model: Any, out: str | Path, facts: dict[str, Any]) -> None:
    """Write an ONNX model with facts in its metadata, whole or not at all."""
    import onnx

    onnx.helper.set_model_props(model, {FACTS: json.dumps(facts)})
    make_folder(Path(out).parent)
    write_bytes(model.SerializeToString(), out)


def read_facts(path: str | Path) -> dict[str, Any]:
    """Read what an ONNX file says of itself.

    Raises:
        InputError: a package is missing, no ONNX file, or one that was not written here.
    """
    needed("an ONNX file", "onnx")
    import onnx

    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror})") from error
    except Exception as error:  # protobuf raises kinds of its own
        raise InputError(f"{path} is damaged or no ONNX file; export it again") from error
    for entry in model.metadata_props:
        if entry.key == FACTS:
            return json.loads(entry.value)
    raise InputError(f"{path} was not written by python -m utils export, so its size and classes are not known")


def quantize(path: str | Path, out: str | Path, inputs: Sequence[np.ndarray]) -> None:
    """Turn a float32 ONNX file into one of 8-bit weights and activations.

    Args:
        path: the float32 file.
        out: file to write.
        inputs: what the network is given, one array a forward, of images as it will see: they set the ranges.

    Raises:
        InputError: the file cannot be written.
    """
    needed("int8", *PACKAGES)
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    facts = read_facts(path)

    class Reader(CalibrationDataReader):
        def __init__(self, name: str):
            self.left = iter([{name: array} for array in inputs])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as folder, quiet():
        prepared, written = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(written),
            Reader(onnx.load_model(str(prepared)).graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,  # unsigned: what processors multiply by signed weights
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=list(IN_EIGHT_BITS),
        )
        write_model(onnx.load_model(str(written)), out, facts | {"precision": "int8", "calibrated_on": len(inputs)})


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' progress and warnings off the terminal."""
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "onnxscript", "onnx_ir", "root", "")}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
