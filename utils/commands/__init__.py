"""The command lines: one verb a file, each with `main(argv)`, and the flags of myTrain.py and myTest.py."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "predict_flags": ["parse_predict_args"],
        "series": ["train_folds", "train_seeds"],
        "train_flags": ["parse_train_args"],
    },
)
