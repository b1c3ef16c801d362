"""From the scores of pairs to those of data sets: means over images and cases, and how certain they are."""

from .dataset import FORMAT_VERSION, SIZE_CLASSES, DatasetAggregation, size_class
from .mean_scores import image_scores

__all__ = ["FORMAT_VERSION", "SIZE_CLASSES", "DatasetAggregation", "image_scores", "size_class"]
