"""Which samples fall to which batch, and to which process."""

import pytest

from utils.data.sampler import TrainingBatches
from utils.runtime.process_group import World


def test_batches_cover_an_epoch_and_go_on_where_they_stopped():
    batches = TrainingBatches(11, batch_size=3, seed=0)
    batches.epoch = 2
    whole = list(batches)
    assert [len(batch) for batch in whole] == [3, 3, 3, 2]
    assert sorted(index for batch in whole for _, index in batch) == list(range(11))
    assert {epoch for batch in whole for epoch, _ in batch} == {2}
    batches.start = 2
    assert list(batches) == whole[2:]
    batches.start, batches.epoch = 0, 3
    assert list(batches) != whole


def test_a_last_batch_of_one_is_left_out():
    assert [len(batch) for batch in TrainingBatches(10, batch_size=3, seed=0)] == [3, 3, 3]
    assert [len(batch) for batch in TrainingBatches(1, batch_size=3, seed=0)] == [1]


@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_every_batch_of_a_single_one(size):
    whole = list(TrainingBatches(17, batch_size=6, seed=0))
    shares = [list(TrainingBatches(17, batch_size=6, seed=0, world=World(rank, size))) for rank in range(size)]
    assert {len(share) for share in shares} == {len(whole)}
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(batch) == sorted(sample for part in parts for sample in part)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_images_of_a_batch_are_counted_over_all_processes():
    batches = TrainingBatches(17, batch_size=6, seed=0, world=World(1, 2))
    assert [batches.images(step) for step in range(len(batches))] == [6, 6, 5]


def test_a_last_batch_that_does_not_reach_every_process_is_left_out():
    batches = TrainingBatches(14, batch_size=6, seed=0, world=World(0, 4), least=4)
    assert len(batches) == 2
    assert len(TrainingBatches(3, batch_size=8, seed=0, world=World(0, 4), least=4)) == 0
