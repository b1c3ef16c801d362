"""From networks to maps: images, clips, videos, streams, heat maps."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "clips": ["AHEAD", "find_clips", "predict_clips"],
        "export": ["export_weights"],
        "heatmaps": ["write_heat_maps"],
        "images": ["PredictOptions", "WRITERS", "find_sets", "image_maps", "pick_images", "predict_maps"],
        "postprocess": ["grey_map", "labels_of", "probabilities", "probability_map", "stretched", "write_map"],
        "streaming": ["Arrival", "VideoSlots", "WRITE_EVERY", "stream_clips"],
        "video": ["VideoOptions", "predict_video"],
        "video_io": ["Shot", "Source", "VideoFile", "open_source"],
    },
)
