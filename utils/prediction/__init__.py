"""From networks to maps: images, clips, videos, streams, heat maps."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "clips": ["AHEAD"],
        "config": ["GROUPS", "WRITE_EVERY", "MapOptions", "PredictConfig"],
        "images": ["PredictOptions", "image_maps", "predict_maps"],
        "job": ["predict"],
        "outputs": ["cut", "find_regions", "has_h264"],
        "runtimes": ["RUNTIMES", "export_graph", "export_weights", "fold_batch_norms", "has_packages"],
        "postprocess": [
            "grey_map",
            "labels_of",
            "minmax_normalized",
            "probabilities",
            "probability_map",
            "write_map",
        ],
        "predictor": ["Prediction", "Predictor"],
        "streaming": ["Arrival", "VideoSlots", "stream_clips"],
        "video": ["VideoOptions", "predict_video"],
        "inputs": ["Frame", "Source", "evenly_spread", "find_images", "open_source", "open_video"],
    },
)
