"""What is held out to judge by: a tenth of the groups, drawn by seed."""

import pytest

from measure.io.errors import InputError
from utils.data.splits import hold_out


def test_a_tenth_is_held_out_by_seed():
    stems = [f"{number}" for number in range(12)]
    training, held = hold_out(stems, group_of=str, seed=0)
    assert len(held) == 1 and sorted(training + held) == sorted(stems)
    assert hold_out(stems, group_of=str, seed=0) == (training, held)
    assert len({hold_out(stems, group_of=str, seed=seed)[1][0] for seed in range(20)}) > 3


def test_a_group_stays_on_one_side():
    clips = [f"case{polyp}_{part}" for polyp in range(1, 11) for part in (1, 2)] + ["case11"]
    for seed in range(5):
        training, held = hold_out(clips, group_of=polyp_of, seed=seed)
        assert len(training) + len(held) == 21 and held
        assert not set(map(polyp_of, training)) & set(map(polyp_of, held))


def test_one_group_cannot_be_split():
    with pytest.raises(InputError, match=r"1 to train on \(case3\); at least two are needed"):
        hold_out(["case3_1", "case3_2"], group_of=polyp_of, seed=0)


def polyp_of(clip):
    return clip.partition("_")[0]
