"""The networks: `create_model`, `list_models`, `load_weights`. PyTorch, torchvision and timm only."""

from . import convsegnet, dilatedsegnet, sali, scrnet, sepnet
from .errors import ModelError
from .modules.memory import Memory
from .registry import create_model, list_models, model_entry
from .sali import Encoding
from .weights import LoadReport, load_backbone_weights, load_weights, read_checkpoint

__all__ = [
    "Encoding",
    "LoadReport",
    "Memory",
    "ModelError",
    "convsegnet",
    "create_model",
    "dilatedsegnet",
    "list_models",
    "load_backbone_weights",
    "load_weights",
    "model_entry",
    "read_checkpoint",
    "sali",
    "scrnet",
    "sepnet",
]
