"""Files and command lines: layouts, pairing, reading, class masks, damage, atomic writes, flags, how commands end."""

from .lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "atomic_write": [
            "drop_partials",
            "make_folder",
            "refuse_outputs_in_inputs",
            "replace_when_whole",
            "write_text",
        ],
        "class_masks": ["LABELS", "MERGED", "Classes", "parse_classes", "read_mask", "read_masks"],
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
        "cores": ["available_cores"],
        "errors": ["CommandError", "InputError"],
        "images": ["read_grey", "read_rgb"],
        "integrity": ["damage"],
        "json_file": ["write_json"],
        "lazy": ["lazy_exports"],
        "layouts": [
            "FRAMES",
            "FRAME_MASKS",
            "STILLS",
            "TRAINING_SPLIT",
            "Layout",
            "has_clips",
            "images_beside",
            "set_folders",
            "set_name",
            "split_folders",
        ],
        "markdown": ["markdown_table", "markdown_text"],
        "opencv_env": ["one_thread", "quiet_opencv"],
        "pairing": [
            "IMAGE_SUFFIXES",
            "first_names",
            "images_by_stem",
            "natural_key",
            "pair_by_stem",
            "pair_stems",
            "subfolders",
        ],
    },
)
