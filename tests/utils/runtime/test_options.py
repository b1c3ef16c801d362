"""Options as dataclasses: bounds, choices, the flags made of them and the words that give them back."""

from dataclasses import dataclass

import numpy as np
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 2.5}, "--count 2.5 was given; it must be a whole number, at least 1 and at most 9"),
        ({"count": "3"}, "--count 3 was given; it must be a whole number"),
        ({"count": True}, "--count True was given; it must be a whole number"),
        ({"count": None}, "--count None was given; it must be a whole number"),
        ({"count": 10**400}, "--count 10+ was given; it must be at most 9"),
        ({"count": float("inf")}, "--count inf was given; it must be a whole number"),
        ({"rate": "0.5"}, "--rate 0.5 was given; it must be a number, at least 0 and less than 1"),
        ({"rate": [0.5]}, r"--rate \[0.5\] was given; it must be a number"),
        ({"kind": 1}, "--kind 1 was given; it must be a text"),
        ({"kind": ["a"]}, r"--kind \['a'\] was given; it must be a text"),
        ({"names": "a"}, "--names a was given; it must be a list of values"),
        ({"names": {"a": 1}}, "--names .* was given; it must be a list of values"),
        ({"names": ["a", 1]}, "--names 1 was given; it must be a text"),
        ({"pair": 3}, "--pair 3 was given; it must be 2 values"),
        ({"pair": [1, 2, 3]}, "--pair 1 2 3 was given; it must be 2 values"),
        ({"pair": [1, 2.5]}, "--pair 2.5 was given; it must be a whole number"),
        ({"on": 1}, "--on 1 was given; it must be true or false"),
        ({"on": "false"}, "--on false was given; it must be true or false"),
        ({"on": None}, "--on None was given; it must be true or false"),
    ],
)
def test_values_of_another_type_are_refused(values, message):
    with pytest.raises(InputError, match=f"^{message}"):
        Few.from_flags(values)


def test_whole_numbers_are_numbers_and_what_is_like_a_value_is_one(tmp_path):
    assert Few(rate=0).rate == 0 and Few(rate=None).rate is None
    assert Few(count=np.int64(4)).count == 4 and Few(rate=np.float32(0.5)).rate == 0.5
    assert Few(names=(tmp_path,)).names == (tmp_path,)


def test_the_choices_of_a_run_are_what_the_code_has():
    fields = TrainConfig.__dataclass_fields__
    assert set(fields["loss"].metadata["choices"]) == set(LOSSES)
    assert set(fields["cache"].metadata["choices"]) == set(CACHES)
    assert {text.partition(":")[0] for text in TrainConfig().augment} <= set(AUGMENTATIONS)
