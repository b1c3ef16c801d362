"""Training runs: one configuration, recipes, losses, schedules, the step, the loop, checkpoints, logs."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "run_files.checkpoint": ["furthest_checkpoint", "read_run"],
        "config": ["GROUPS", "REPETITION", "StartOptions", "TrainConfig", "neutral_options"],
        "losses": ["LOSSES", "WINDOW", "DeepSupervision", "structure_loss"],
        "recipes": ["Recipe", "recipe_for", "recipe_of"],
        "run_files.run_record": ["config_of", "read_record"],
        "setup": ["fingerprint_of_run", "train"],
        "step": ["TrainStep"],
        "tasks": ["task_of"],
    },
)
