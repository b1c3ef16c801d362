"""ONNX Runtime and OpenVINO behind the face of a network: images in, {"out": logits}. Both run on the CPU."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from measure.io import InputError

from .names import needed

__all__ = ["OnnxNetwork", "OpenVINONetwork", "RuntimeConfig", "has_native_bf16", "open_session", "runtime_config"]


@dataclass(frozen=True)
class RuntimeConfig:
    """What runs a network, for the record.

    Attributes:
        runtime: "onnxruntime" or "openvino", with its version.
        precision: "float32", "bf16" or "int8".
        threads: it uses at most.
    """

    runtime: str
    precision: str
    threads: int


class OnnxNetwork(nn.Module):
    """An ONNX file in ONNX Runtime.

    Args:
        path: the file.
        facts: what it says of itself (`read_facts`).

    Raises:
        InputError: ONNX Runtime is not installed or cannot use the file.
    """

    kind = "image"

    def __init__(self, path: str | Path, facts: dict[str, Any]):
        super().__init__()
        self.name, self.facts = facts["model"], facts
        self.session = open_session(path)
        self.input = self.session.get_inputs()[0].name
        self.config = runtime_config(facts)

    def run(self, array: np.ndarray) -> np.ndarray:
        """The graph's answer to its input."""
        return self.session.run(None, {self.input: array})[0]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"out": torch.from_numpy(self.run(np.ascontiguousarray(image.cpu().numpy())))}


def open_session(path: str | Path) -> Any:
    """ONNX Runtime's session of a file, on as many threads as PyTorch takes.

    Raises:
        InputError: ONNX Runtime is not installed or cannot use the file.
    """
    needed("--runtime onnxruntime", "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # kinds of its own
        raise InputError(f"ONNX Runtime cannot use {path}: {str(error).splitlines()[0]}") from error


def runtime_config(facts: dict[str, Any]) -> RuntimeConfig:
    """What ONNX Runtime runs a file with.

    Args:
        facts: what the file says of itself (`read_facts`).
    """
    import onnxruntime

    threads = torch.get_num_threads()
    return RuntimeConfig(f"onnxruntime {onnxruntime.__version__}", facts.get("precision", "float32"), threads)


class OpenVINONetwork(nn.Module):
    """A model of OpenVINO, image by image.

    Args:
        model: OpenVINO's, of one input (N, 3, S, S) and one output.
        name: of the network.
        size: S, pixels.
        precision: "float32", "bf16" or, of an int8 model, "int8".
    """

    kind = "image"

    def __init__(self, model: Any, *, name: str, size: int, precision: str):
        super().__init__()
        import openvino
        from openvino.preprocess import PrePostProcessor

        self.name = name
        threads = torch.get_num_threads()
        model.reshape({0: [1, 3, size, size]})  # fixed shapes run faster, and one image a forward is no slower on a CPU
        layouts = PrePostProcessor(model)  # channels last, as OpenVINO computes and images are: nothing is copied
        layouts.input().tensor().set_layout(openvino.Layout("NHWC"))
        layouts.input().model().set_layout(openvino.Layout("NCHW"))
        hint = "bf16" if precision == "bf16" else "f32"
        settings = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.request = openvino.Core().compile_model(layouts.build(), "CPU", settings).create_infer_request()
        self.turn = threading.Lock()  # a request refuses a second thread while it is busy
        self.config = RuntimeConfig(f"openvino {openvino.__version__.split('-')[0]}", precision, threads)

    def run(self, array: np.ndarray) -> np.ndarray:
        """The model's answer to one image (1, 3, S, S); channels last in memory is fastest."""
        image = np.ascontiguousarray(array.transpose(0, 2, 3, 1))
        with self.turn:
            return self.request.infer({0: image}, share_inputs=True)[0]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        images = image.float().cpu().numpy()
        return {"out": torch.from_numpy(np.concatenate([self.run(images[n : n + 1]) for n in range(len(images))]))}


def has_native_bf16() -> bool:
    """Whether OpenVINO finds instructions for bf16 in this processor, such as AMX."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
