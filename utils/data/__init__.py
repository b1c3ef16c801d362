"""From folders to batches: pairs, splits, checks, data sets, augmentation, caches, samplers."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "augmentation": ["AUGMENTATIONS", "Augmentation", "MaskNoise", "parse_augmentation"],
        "cache": ["CACHES", "open_cache"],
        "check": ["NEAR", "check_parts", "find_parts_to_check", "parts_of_splits", "render_page", "render_text"],
        "clip_dataset": ["CLIPS", "Case", "ClipTrainingData", "find_cases", "polyp_of"],
        "draws": [
            "FoldNames",
            "fold_names",
            "names_in",
            "part_sizes",
            "refuse_other_names",
            "split_names",
            "write_folds",
            "write_names",
        ],
        "fingerprint": ["DATA_FILE", "Fingerprint", "refuse_other_data", "size_and_hash"],
        "image_dataset": ["EvaluationData", "TrainingData"],
        "inspection": ["inspect"],
        "loader": ["make_loader", "worker_count"],
        "pairs": ["Pair", "find_pairs"],
        "preprocessing": [
            "IMAGENET_MEAN",
            "IMAGENET_STD",
            "network_input",
            "normalize",
            "resize",
            "resize_batch",
            "to_chw",
        ],
        "published_sets": ["SUN_SEG"],
        "sampler": ["TrainingBatches", "batches_in_order"],
        "splits": ["IMAGES", "ItemKind", "check_known", "find_parts", "read_split"],
    },
)
