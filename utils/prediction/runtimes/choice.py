"""Which runtime a network gets: what was asked for, or the fastest that is installed and agrees."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from measure.io import InputError, parse_classes

from ...runtime import check_cuda_graphs, record_calls
from ..network import TrainedNetwork, load_network
from .clip_sessions import OnnxClipNetwork, is_second_part, read_clip_network
from .graph import GraphNetwork
from .names import RUNTIMES, has_packages, needed
from .onnx_file import export_onnx, quiet, read_facts
from .sessions import OnnxNetwork, OpenVINONetwork, has_native_bf16

__all__ = ["cache_folder", "chosen", "load_all", "load_any", "with_runtime"]

GRAPH_SUFFIX = ".onnx"


def load_any(path: str | Path | None, *, size: int | None = None, **settings: Any) -> TrainedNetwork:
    """Read a weight file (`load_network`, which `settings` are for), or an exported ONNX file; of a video network both.

    Raises:
        InputError: an ONNX file with processing inside, one at another size than `size`, or no ONNX Runtime.
        ModelError, InputError: as `load_network`.
    """
    if path is None or Path(path).suffix.lower() != GRAPH_SUFFIX:
        return load_network(path, size=size, **settings)
    facts = read_facts(path)
    if facts["processing"]:
        raise InputError(f"{path} has its processing inside, for use elsewhere; export it without --processing")
    if size not in (None, facts["size"]):
        raise InputError(f"{path} was exported at {facts['size']} pixels and {size} were asked for; export it again")
    if facts.get("part"):
        model, encode = read_clip_network(path)
        return TrainedNetwork(model, encode, facts["size"])
    classes = parse_classes(facts["classes"].split()) if facts["classes"] else None
    return TrainedNetwork(OnnxNetwork(path, facts), Path(path), facts["size"], classes)


def load_all(paths: Sequence[str | Path | None], **settings: Any) -> list[TrainedNetwork]:
    """Read weight files and exported ones as `load_any` does; both files of a video network are one network.

    Raises:
        ModelError, InputError: as `load_any`.
    """
    named = [path for path in paths if path is not None]
    return [load_any(path, **settings) for path in paths if path is None or not is_second_part(path, named)]


def chosen(runtime: str, network: TrainedNetwork, device: torch.device, *, many: bool) -> str:
    """The runtime that "auto" stands for: OpenVINO for many images on a CPU, where it is installed; else PyTorch.

    Args:
        runtime: one of `RUNTIMES`; any but "auto" is what it says.
        many: so many images that the seconds of converting a network pay.
    """
    if runtime != "auto":
        return runtime
    usable = device.type == "cpu" and network.model.kind == "image" and has_packages("openvino")
    return "openvino" if usable and many else "torch"


def with_runtime(
    network: TrainedNetwork,
    runtime: str,
    device: torch.device,
    *,
    amp: str = "off",
    many: bool = False,
    cuda_graphs: bool = False,
) -> TrainedNetwork:
    """The network in the runtime that was asked for.

    Args:
        network: see `load_network`; of an ONNX file it is in a runtime already.
        runtime: one of `RUNTIMES`.
        amp: "bf16" lets OpenVINO compute so, where the processor has instructions for it.
        many: see `chosen`.
        cuda_graphs: record the kernels of a forward and start them all at once.

    Raises:
        InputError: an unknown runtime, one that is not installed, or one that cannot run this network here.
    """
    check_cuda_graphs(cuda_graphs, device)
    if runtime not in RUNTIMES:
        raise InputError(f"the runtime {runtime!r} was asked for; there are {', '.join(RUNTIMES)}")
    if isinstance(network.model, (OnnxNetwork, OnnxClipNetwork)):
        return of_graph(network, runtime, amp)
    wanted = chosen(runtime, network, device, many=many)
    if wanted == "torch":
        for part in network.model.steady_parts if cuda_graphs else ():
            record_calls(part)
        return network
    if device.type != "cpu":
        raise InputError(f"the runtime {wanted} was asked for on {device}; it runs on the CPU, so give --device cpu")
    if network.model.kind != "image":
        raise InputError(
            f"{network.model.name} is a video network, whose .pth runs in torch alone; leave --runtime out, or export "
            "it and give its .encode.onnx"
        )
    if wanted == "openvino":
        return dataclasses.replace(network, model=openvino_network(network, amp))
    return dataclasses.replace(network, model=onnx_network(network))


def of_graph(network: TrainedNetwork, runtime: str, amp: str) -> TrainedNetwork:
    """An exported file in the runtime asked for; OpenVINO where it is installed and nothing was."""
    if runtime == "torch":
        raise InputError(f"{network.path} is an ONNX file, for onnxruntime or openvino; take its .pth for torch")
    is_clip_network = isinstance(network.model, OnnxClipNetwork)
    if runtime == "openvino" and is_clip_network:
        raise InputError(f"{network.path} is of a video network, which runs in onnxruntime; leave --runtime out")
    if runtime == "onnxruntime" or is_clip_network or not has_packages("openvino"):
        return network
    import openvino

    facts = network.model.facts
    precision = facts["precision"] if facts["precision"] == "int8" else bf16_where_allowed(amp)
    model = openvino.Core().read_model(network.path)
    found = OpenVINONetwork(model, name=facts["model"], size=network.size, precision=precision)
    return dataclasses.replace(network, model=found)


def bf16_where_allowed(amp: str) -> str:
    """The precision that OpenVINO computes in."""
    if amp != "bf16":
        return "float32"
    if has_native_bf16():
        return "bf16"
    print("note: this processor has no instructions for bf16; OpenVINO computes in float32", file=sys.stderr)
    return "float32"


def onnx_network(network: TrainedNetwork) -> OnnxNetwork:
    path = cache_folder() / f"{fingerprint(network)}.onnx"
    if not path.is_file():
        note("onnxruntime", network)
        export_onnx(network, path)
    return OnnxNetwork(path, read_facts(path))


def openvino_network(network: TrainedNetwork, amp: str) -> OpenVINONetwork:
    needed("--runtime openvino", "openvino")
    import openvino

    path = cache_folder() / f"{fingerprint(network, openvino.__version__)}.xml"
    if not path.is_file():
        note("openvino", network)
        model = converted(network)
        keep(model, path)
    else:
        model = openvino.Core().read_model(path)
    return OpenVINONetwork(model, name=network.model.name, size=network.size, precision=bf16_where_allowed(amp))


def converted(network: TrainedNetwork) -> Any:
    """OpenVINO's model of a network of PyTorch."""
    import openvino

    graph = GraphNetwork(network.model, network.size, processing=False)
    with quiet(), torch.no_grad():
        return openvino.convert_model(graph, example_input=graph.example()[:1])


def keep(model: Any, path: Path) -> None:
    """Keep OpenVINO's model for the next start, whole or not at all: its weights, then the .xml that stands for both.

    On a full disk nothing is kept, and the next start converts again.
    """
    import openvino

    with contextlib.suppress(RuntimeError, OSError), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        openvino.save_model(model, draft, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            os.replace(draft.with_suffix(suffix), path.with_suffix(suffix))


def note(runtime: str, network: TrainedNetwork) -> None:
    print(f"note: {network.path.name} is made ready for {runtime}, once; this takes a minute or less", file=sys.stderr)


def fingerprint(network: TrainedNetwork, *versions: str) -> str:
    """A name for a converted network: its weights, its input size and what converted it."""
    told = [
        network.weights_sha256,
        network.model.name,
        str(network.model.config),
        str(network.size),
        torch.__version__,
        *versions,
    ]
    return hashlib.sha256(" ".join(told).encode()).hexdigest()[:32]


def cache_folder() -> Path:
    """Where converted networks are kept: polyp-segmentation in the user's cache."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "polyp-segmentation"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
