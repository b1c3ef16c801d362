"""Networks outside PyTorch: ONNX and torch.export files, and what runs them (ONNX Runtime, OpenVINO).

The packages for it are extras: pip install onnx onnxscript onnxruntime openvino.
"""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "choice": ["load_all", "with_runtime"],
        "exporting": ["export_graph"],
        "folding": ["fold_batch_norms"],
        "graph": ["GraphNetwork"],
        "names": ["RUNTIMES", "check_runtime", "has_packages", "needed"],
        "onnx_file": ["read_facts"],
        "parity": ["Parity", "compare_outputs", "reference_outputs"],
        "weights_file": ["export_weights"],
        "sessions": ["OpenVINONetwork"],
    },
)
