"""What training does to a sample: the single augmentations, views of an image, and the pipeline that applies them."""

from .affine_view import AffineView, Size
from .appearance import Blur, Noise
from .pipeline import AUGMENTATIONS, augment, parse_augmentation, render_pair
from .transforms import Augmentation, Contrast, Jitter, MaskNoise

__all__ = [
    "AUGMENTATIONS",
    "AffineView",
    "Augmentation",
    "Blur",
    "Contrast",
    "Jitter",
    "MaskNoise",
    "Noise",
    "Size",
    "augment",
    "parse_augmentation",
    "render_pair",
]
