"""The long-term memory equals a literal reading of its rules, entry by entry, and never grows beyond its bound."""

import math

import numpy as np
import pytest
import torch

import lib.modules.memory
from lib.errors import ModelError
from lib.modules.memory import Bank, Memory, attend, count_usage, evict, read, write

SIDES = (4, 2, 1)  # of the three levels
KEYS, VALUES = 4, 6


def frame(seed: int, *, clips: int = 1, sides=SIDES, dtype=torch.float64) -> Memory:
    """A frame of random entries, the same for a seed."""
    rng = torch.Generator().manual_seed(seed)
    maps = [
        [torch.randn(clips, channels, side, side, generator=rng, dtype=dtype) for side in sides]
        for channels in (KEYS, VALUES)
    ]
    return Memory.of_frame(*maps)


def bank_of(usage, life) -> Bank:
    """A bank whose keys number the entries."""
    numbers = torch.arange(len(usage), dtype=torch.float64)[:, None]
    return Bank(numbers, numbers, torch.tensor(usage, dtype=torch.float64), torch.tensor(life, dtype=torch.float64))


def numbers(bank: Bank) -> list[int]:
    return bank.keys.flatten().int().tolist()


class LiteralMemory:
    """The rules in plain Python: one list of entries per level, one query at a time, one clip."""

    def __init__(self, *, limit, top_k, protect_newest):
        self.limit, self.top_k, self.protect_newest = limit, top_k, protect_newest
        self.levels = None
        self.surpluses, self.thresholds = [], []  # of every trim; thresholds of those that removed something

    def step(self, entries, *, written):
        keys, values = ([getattr(bank, name).numpy() for bank in entries.clips[0]] for name in ("keys", "values"))
        own = [[self.entry(k, v) for k, v in zip(*level, strict=True)] for level in zip(keys, values, strict=True)]
        readouts = [self.read_level(level, new) for level, new in zip(self.levels or own, own, strict=True)]
        for entry in (entry for level in self.levels or [] for entry in level):
            entry["usage"] += entry.pop("share", 0.0)
            entry["life"] += 1
        if written:
            self.append(own)
        return readouts

    @staticmethod
    def entry(key, value):
        return {"key": key, "value": value, "usage": 0.0, "life": 1e-7}

    def read_level(self, entries, queries):
        rows = []
        for query in queries:
            affinity = [(2 * e["key"] @ query["key"] - e["key"] @ e["key"]) / 2 for e in entries]
            best = sorted(range(len(entries)), key=lambda i: -affinity[i])[: self.top_k]
            total = sum(math.exp(affinity[i]) for i in best)
            row = 0
            for i in best:
                share = math.exp(affinity[i]) / total
                row = row + share * entries[i]["value"]
                if entries is not queries:
                    entries[i]["share"] = entries[i].get("share", 0.0) + share
            rows.append(np.concatenate((row, query["value"])))
        return np.stack(rows)

    def append(self, own):
        if self.levels is None:
            self.levels = own
            return
        cells = len(own[0])
        was_full = len(self.levels[0]) // cells >= self.limit
        self.levels = [old + new for old, new in zip(self.levels, own, strict=True)]
        if was_full:
            self.levels = [self.trim(entries, cells // 4**level) for level, entries in enumerate(self.levels)]

    def trim(self, entries, cells):
        surplus = len(entries) - self.limit * cells
        self.surpluses.append(surplus)
        if surplus <= 0:
            return entries
        spared = entries[-cells:] if self.protect_newest else []
        judged = entries[: len(entries) - len(spared)]
        threshold = sorted(e["usage"] / e["life"] for e in judged)[surplus - 1]
        self.thresholds.append(threshold)
        return [e for e in judged if e["usage"] / e["life"] > threshold] + spared


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("top_k", [1, 3, 20])
@pytest.mark.parametrize("protect_newest", [False, True])
@pytest.mark.parametrize("every", [1, 3])
def test_a_clip_equals_the_literal_rules(limit, top_k, protect_newest, every):
    literal = LiteralMemory(limit=limit, top_k=top_k, protect_newest=protect_newest)
    memory = Memory.empty()
    for t in range(11 * every):
        entries = frame(t)
        written = t % every == 0
        expected = literal.step(entries, written=written)
        readouts, memory = read(memory, entries, top_k=top_k)
        memory = write(memory, entries, which=[written], limit=limit, protect_newest=protect_newest)
        for readout, level in zip(readouts, expected, strict=True):
            np.testing.assert_allclose(readout[0], level, rtol=0, atol=1e-12)
        for bank, level in zip(memory.clips[0], literal.levels, strict=True):
            assert len(bank) == len(level)
            for name, plain in (("keys", "key"), ("values", "value"), ("usage", "usage"), ("life", "life")):
                np.testing.assert_allclose(getattr(bank, name), np.array([e[plain] for e in level]), atol=1e-12)
    assert len(literal.thresholds) >= 3


def test_a_clip_above_meets_every_kind_of_trim():
    """Thresholds of zero and above it, and a coarse level with nothing to remove while the finest is trimmed."""
    literal = LiteralMemory(limit=2, top_k=1, protect_newest=False)
    for t in range(33):
        literal.step(frame(t), written=t % 3 == 0)
    assert min(literal.surpluses) <= 0 < max(literal.surpluses)
    assert min(literal.thresholds) == 0 < max(literal.thresholds)


def test_nothing_goes_while_there_is_room():
    bank = bank_of([0, 0, 0], [1, 1, 1])
    assert evict(bank, room=3) is bank
    assert evict(bank, room=4) is bank


def test_a_threshold_of_zero_takes_every_entry_never_read():
    bank = bank_of([0, 2, 0, 1, 0], [5, 5, 5, 5, 1e-7])
    assert numbers(evict(bank, room=4)) == [1, 3]


def test_a_positive_threshold_keeps_what_is_above_it_in_order():
    # usage / life: 1, 1/2, 3/4, 2, 1/2; the third smallest is 3/4
    bank = bank_of([2, 1, 3, 2, 1], [2, 2, 4, 1, 2])
    assert numbers(evict(bank, room=2)) == [0, 3]


def test_usage_counts_per_step_of_life():
    old, young = ([10], [100]), ([1], [2])  # used more in all, less per step
    assert numbers(evict(bank_of(old[0] + young[0], old[1] + young[1]), room=1)) == [1]


def test_protected_entries_stay_and_others_go_for_them():
    bank = bank_of([3, 1, 2, 0, 0], [1, 1, 1, 1e-7, 1e-7])
    assert numbers(evict(bank, room=4)) == [0, 1, 2]
    assert numbers(evict(bank, room=4, protected=2)) == [0, 2, 3, 4]
    assert numbers(evict(bank, room=2, protected=2)) == [3, 4]


def test_a_memory_whose_entries_are_all_read_is_frozen():
    """As released: the new frame is the first to go, so nothing new is learned; `protect_newest` lets it in."""

    def run(protect_newest):
        memory = Memory.empty()
        for t in range(2):
            memory = write(memory, frame(t), which=[True], limit=2)
        before = [bank.keys for bank in memory.clips[0]]
        for t in range(2, 8):
            entries = frame(t)
            _, memory = read(memory, entries, top_k=1000)  # every entry is read
            memory = write(memory, entries, which=[True], limit=2, protect_newest=protect_newest)
        return [torch.equal(old, bank.keys) for old, bank in zip(before, memory.clips[0], strict=True)]

    assert run(False) == [True, True, True]
    assert run(True) == [False, False, False]


def test_a_trim_that_drops_just_the_new_frame_returns_the_bank_it_was_given():
    """So that the search tree of its keys, which is kept with them, need not be built again."""
    memory = Memory.empty()
    for t in range(2):
        memory = write(memory, frame(t), which=[True], limit=2)
    _, memory = read(memory, frame(2), top_k=1000)  # every entry is read
    frozen = write(memory, frame(2), which=[True], limit=2)
    assert all(kept is known for kept, known in zip(frozen.clips[0], memory.clips[0], strict=True))
    let_in = write(memory, frame(2), which=[True], limit=2, protect_newest=True)
    assert all(kept is not known for kept, known in zip(let_in.clips[0], memory.clips[0], strict=True))


def test_entries_never_read_leave_the_memory_short_and_new_frames_come_in_again():
    """A trim may leave far less than the limit; then frames are appended without a trim until it is reached again."""
    memory = Memory.empty()
    sizes = []
    for t in range(12):
        entries = frame(t)
        _, memory = read(memory, entries, top_k=1)
        memory = write(memory, entries, which=[True], limit=2)
        sizes.append(memory.sizes[0][0])
    assert any(later < 2 * 16 for later in sizes[2:])
    assert any(later > earlier for earlier, later in zip(sizes[2:], sizes[3:], strict=False))


@pytest.mark.parametrize("protect_newest", [False, True])
@pytest.mark.parametrize("top_k", [1, 20])
def test_a_long_clip_stays_within_the_bound(top_k, protect_newest):
    memory, limit = Memory.empty(), 3
    for t in range(400):
        entries = frame(t, dtype=torch.float32)
        _, memory = read(memory, entries, top_k=top_k)
        memory = write(memory, entries, which=[True], limit=limit, protect_newest=protect_newest)
        fine, *coarser = memory.sizes[0]
        assert fine < (limit + 1) * 16
        assert all(size < (2 * limit + 2) * cells for size, cells in zip(coarser, (4, 1), strict=True))
    assert all(tensor.isfinite().all() for bank in memory.clips[0] for tensor in vars(bank).values())


def test_an_empty_memory_is_read_as_the_frame_itself_and_stays_empty():
    entries = frame(3, clips=2)
    readouts, memory = read(Memory.empty(), entries, top_k=5)
    assert memory.sizes == [(), ()]
    own = entries.clips[1][0]
    expected, _ = attend(own, own.keys, top_k=5)
    assert torch.equal(readouts[0][1], torch.cat((expected, own.values), dim=1))
    assert write(memory, entries, which=[False, False], limit=2).sizes == [(), ()]
    assert own.usage.sum() == 0


def test_usage_adds_up_to_the_number_of_queries():
    bank, queries = frame(0).clips[0][0], torch.randn(50, KEYS, dtype=torch.float64)
    _, shares = attend(bank, queries, top_k=7)
    older = count_usage(count_usage(bank, shares), shares)
    assert older.usage.sum().item() == pytest.approx(100)
    assert older.life.tolist() == pytest.approx([2 + 1e-7] * len(bank))


@pytest.mark.parametrize("piece", [1, 40, 1000])
def test_pieces_do_not_change_the_reading(monkeypatch, piece):
    bank, queries = frame(0).clips[0][0], torch.randn(50, KEYS, dtype=torch.float64)
    whole = attend(bank, queries, top_k=7)
    monkeypatch.setattr(lib.modules.memory, "PIECE", piece)
    for expected, actual in zip(whole, attend(bank, queries, top_k=7), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_the_reading_has_true_gradients():
    bank = frame(1).clips[0][0]
    inputs = [t.clone().requires_grad_() for t in (bank.keys, bank.values, torch.randn(5, KEYS, dtype=torch.float64))]

    def reading(keys, values, queries):
        return attend(Bank.new(keys, values), queries, top_k=4)[0]

    assert torch.autograd.gradcheck(reading, inputs)


def test_clips_of_a_batch_do_not_know_of_each_other():
    """Memories of different length, and equal keys (a still picture) whose order only the algorithm decides."""
    still = frame(5, dtype=torch.float32)
    long = Memory.empty()
    for t in range(4):
        long = write(long, still if t % 2 else frame(t, dtype=torch.float32), which=[True], limit=9)
    short = write(Memory.empty(), still, which=[True], limit=9)
    clips = {"long": (long, still), "short": (short, frame(6, dtype=torch.float32)), "new": (Memory(((),)), still)}

    def run(*names):
        memory = Memory(tuple(clips[name][0].clips[0] for name in names))
        entries = Memory(tuple(clips[name][1].clips[0] for name in names))
        readouts, memory = read(memory, entries, top_k=20)
        memory = write(memory, entries, which=[True] * len(names), limit=3)
        return {
            name: ([level[n] for level in readouts], [t for bank in memory.clips[n] for t in vars(bank).values()])
            for n, name in enumerate(names)
        }

    together, turned = run("long", "short", "new"), run("new", "long", "short")
    for name in clips:
        alone = run(name)[name]
        for batch in (together, turned):
            for expected, actual in zip(alone, batch[name], strict=True):
                assert all(torch.equal(e, a) for e, a in zip(expected, actual, strict=True))


def test_each_clip_is_written_by_its_own_switch():
    memory = write(Memory.empty(), frame(0, clips=3), which=[True, False, True], limit=2)
    assert memory.sizes == [(16, 4, 1), (), (16, 4, 1)]
    memory = write(memory, frame(1, clips=3), which=[False, True, True], limit=2)
    assert memory.sizes == [(16, 4, 1), (16, 4, 1), (32, 8, 2)]


def test_a_memory_of_another_number_of_clips_is_refused():
    memory = write(Memory.empty(), frame(0, clips=2), which=[True, True], limit=2)
    with pytest.raises(ModelError, match="memory is of 2 clips and the batch has 3 frames"):
        read(memory, frame(1, clips=3), top_k=5)


def test_size_of_a_frame_in_bytes():
    maps = [[torch.zeros(1, channels, side, side) for side in (44, 22, 11)] for channels in (4, 16)]
    memory = Memory.of_frame(*maps)
    assert memory.sizes == [(1936, 484, 121)]
    assert memory.nbytes == 2541 * 22 * 4  # 224 kB at 352 x 352


def test_to_and_detach_take_every_tensor_along():
    keys = [torch.randn(1, 4, 2, 2, requires_grad=True)]
    memory = Memory.of_frame(keys, [torch.randn(1, 6, 2, 2, requires_grad=True)])
    assert memory.clips[0][0].values.requires_grad
    tensors = vars(memory.detach().clips[0][0]).values()
    assert not any(tensor.requires_grad for tensor in tensors)
    assert {tensor.dtype for tensor in vars(memory.to(torch.float64).clips[0][0]).values()} == {torch.float64}
    assert {tensor.device.type for tensor in vars(memory.to("meta").clips[0][0]).values()} == {"meta"}
    assert Memory.empty().to("meta") == Memory.empty().detach() == Memory.empty()
