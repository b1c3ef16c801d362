"""Training runs: recipes, losses, schedules, the loop, checkpoints, logs."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "budget": ["parse_budget"],
        "checkpoint": ["is_resumable"],
        "config": ["TrainOptions", "average_of", "clip_gradients", "make_optimizer"],
        "loss_sums": ["LossSums"],
        "losses": ["DeepSupervision", "LOSSES", "WINDOW", "structure_loss"],
        "recipes": ["Recipe", "departures", "recipe_for"],
        "run_log": ["RunLog"],
        "run_record": ["NOT_INHERITED_FLAGS", "RESULT_NEUTRAL_FLAGS", "read_record", "make_run_record"],
        "schedule": ["Progress", "SCHEDULES", "Schedule", "epochs_since_best"],
        "setup": ["find_run_parts", "held_out_seed", "load_run_data", "pairs_of"],
        "trainer": ["Trainer"],
    },
)
