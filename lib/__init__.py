"""The networks: `create_model`, `list_models`, `load_weights`. PyTorch, torchvision and timm only."""

from . import sepnet
from .errors import ModelError
from .registry import create_model, list_models, model_entry
from .weights import LoadReport, load_backbone_weights, load_weights, read_checkpoint

__all__ = [
    "LoadReport",
    "ModelError",
    "create_model",
    "list_models",
    "load_backbone_weights",
    "load_weights",
    "model_entry",
    "read_checkpoint",
    "sepnet",
]
