"""The networks: `create_model`, `list_models`, `load_model`, `load_weights`. PyTorch, timm and OpenCV only.

Names are loaded from their files when they are first used: `from lib import list_models` imports no PyTorch.
"""

from importlib import import_module
from typing import Any

_FILE_OF = {
    "Encoding": "sali",
    "LoadReport": "weights",
    "Memory": "modules.memory",
    "ModelError": "errors",
    "Network": "base",
    "create_model": "registry",
    "list_models": "registry",
    "described_network": "checkpoints",
    "load_backbone_weights": "weights",
    "load_model": "weights",
    "load_weights": "weights",
    "model_entry": "registry",
    "model_from": "weights",
    "read_checkpoint": "checkpoints",
    "weight_file": "pretrained",
}

__all__ = sorted(_FILE_OF)


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FILE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
