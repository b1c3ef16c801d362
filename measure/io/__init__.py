"""Files and command lines: pairing, reading, class masks, damage, atomic writes, flags and how commands end."""

from .lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "atomic_write": ["drop_partials", "make_folder", "replace_when_whole"],
        "class_masks": ["LABELS", "MERGED", "Classes", "parse_classes", "read_mask"],
        "command_line": [
            "CommandParser",
            "Switch",
            "nonempty",
            "number",
            "path",
            "run_command",
            "sentence_of",
            "switch",
        ],
        "errors": ["CommandError", "InputError"],
        "integrity": ["damage"],
        "json_file": ["write_json"],
        "lazy": ["lazy_exports"],
        "opencv_env": ["one_thread", "quiet_opencv"],
        "pairing": [
            "IMAGE_SUFFIXES",
            "first_names",
            "images_by_stem",
            "natural_key",
            "pair_by_stem",
            "pair_stems",
            "read_grey",
            "read_rgb",
            "subfolders",
        ],
    },
)
