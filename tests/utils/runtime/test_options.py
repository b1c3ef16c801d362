"""Options as dataclasses: bounds, choices, the flags made of them and the words that give them back."""

from dataclasses import dataclass

import pytest

from measure.io import CommandParser, InputError
from utils.data.augmentation import AUGMENTATIONS
from utils.data.cache import CACHES
from utils.runtime.options import Options, add_flags, option, words_of
from utils.training.config import TrainConfig
from utils.training.losses import LOSSES


@dataclass(frozen=True)
class Few(Options):
    count: int = option(3, "how many", group="numbers", low=1, high=9)
    rate: float | None = option(None, "how fast", group="numbers", low=0, high=1, high_open=True)
    kind: str = option("a", "which", group="texts", choices=("a", "b"))
    names: tuple[str, ...] = option((), "names", group="texts")
    pair: tuple[int, int] | None = option(None, "two", group="numbers", low=1, high=9, nargs=2)
    on: bool = option(False, "whether", group="texts")


def parsed(*words):
    parser = CommandParser()
    add_flags(parser, Few)
    return Few.from_flags(vars(parser.parse_args(words)))


def test_flags_become_options_and_options_the_same_flags():
    words = ["--count", "4", "--rate", "0.5", "--kind", "b", "--names", "x", "y z", "--pair", "2", "3", "--on"]
    found = parsed(*words)
    assert found == Few(count=4, rate=0.5, kind="b", names=("x", "y z"), pair=(2, 3), on=True)
    assert words_of(found, Few()) == words
    assert Few.from_flags(found.flags() | {"unknown": 1}) == found
    suffixed = TrainConfig(mask_suffix="-mask")
    parser = CommandParser()
    add_flags(parser, TrainConfig)
    assert TrainConfig.from_flags(vars(parser.parse_args(words_of(suffixed, TrainConfig())))) == suffixed
    assert parsed("--on", "False") == parsed("--no-on") == parsed() == Few()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "--count 0 was given; it must be at least 1"),
        ({"count": 10}, "--count 10 was given; it must be at most 9"),
        ({"rate": 1.0}, "--rate 1.0 was given; it must be less than 1"),
        ({"rate": float("nan")}, "--rate nan was given"),
        ({"kind": "c"}, "--kind c was given; expected one of a, b"),
        ({"names": ("x", " ")}, "--names was given an empty text"),
        ({"pair": (0, 1)}, "--pair 0 was given; it must be at least 1"),
    ],
)
def test_values_out_of_bounds_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Few(**values)


def test_the_choices_of_a_run_are_what_the_code_has():
    fields = TrainConfig.__dataclass_fields__
    assert set(fields["loss"].metadata["choices"]) == set(LOSSES)
    assert set(fields["cache"].metadata["choices"]) == set(CACHES)
    assert {text.partition(":")[0] for text in TrainConfig().augment} <= set(AUGMENTATIONS)
