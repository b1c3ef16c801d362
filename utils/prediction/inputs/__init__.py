"""What prediction is given: images wherever they lie, frames of videos, and the part of an image that shows tissue."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "cropping": ["Placement", "content_box", "field_of_view", "prepared"],
        "finding": ["evenly_spread", "find_images", "is_moving"],
        "video_source": ["FolderSource", "Frame", "Source", "open_source", "open_video"],
    },
)
