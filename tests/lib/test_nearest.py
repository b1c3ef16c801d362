"""The search finds what looking at all keys finds, and a memory that is searched reads as one that is not."""

import pytest
import torch

import lib.modules.memory
from lib.modules import nearest as module
from lib.modules.memory import Bank, attend, count_usage
from lib.modules.nearest import nearest, tree_of


def keys_of(count, *, seed=0, dtype=torch.float32, spread=1.0):
    return spread * torch.randn(count, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("wanted", [1, 5])
@pytest.mark.parametrize("count", [5, 64, 1000, 4097])
def test_the_nearest_are_those_of_all(count, wanted):
    keys, queries = keys_of(count), keys_of(70, seed=1, spread=2.0)
    distance, index = nearest(tree_of(keys), queries, wanted)
    expected, place = torch.cdist(queries.double(), keys.double()).topk(wanted, largest=False)
    assert torch.equal(index, place)
    torch.testing.assert_close(distance, expected.square().float())


def test_equal_keys_are_found_as_often_as_they_are_there():
    keys = torch.cat((keys_of(100), torch.zeros(300, 4)))
    _, index = nearest(tree_of(keys), torch.zeros(3, 4), 20)
    assert all(len(set(row)) == 20 and min(row) >= 100 for row in index.tolist())


@pytest.mark.parametrize("piece", [2**21, 1])
def test_a_bank_that_is_searched_is_read_alike(piece, monkeypatch):
    monkeypatch.setattr(lib.modules.memory, "PIECE", piece)
    bank, queries = Bank.new(keys_of(2000), keys_of(2000, seed=2)), keys_of(50, seed=3)
    plain = attend(bank, queries, top_k=20)
    monkeypatch.setattr(lib.modules.memory, "SEARCHED", 100)
    with torch.no_grad():
        searched = attend(bank, queries, top_k=20)
    for expected, found in zip(plain, searched, strict=True):
        assert torch.allclose(expected, found, atol=1e-5)


@pytest.mark.parametrize("where", ["keys", "queries"])
@torch.no_grad()
def test_what_is_not_finite_comes_out_as_it_does_without_a_search(where, monkeypatch):
    monkeypatch.setattr(lib.modules.memory, "SEARCHED", 100)
    keys, queries = keys_of(300), keys_of(5, seed=3)
    {"keys": keys, "queries": queries}[where][2, 1] = torch.nan
    readout, _ = attend(Bank.new(keys, keys_of(300, seed=2)), queries, top_k=3)
    assert readout[2].isnan().all(), "told by whoever looks at the logits"


def test_a_tree_is_built_once_and_goes_with_its_keys(monkeypatch):
    built = []
    monkeypatch.setattr(
        module, "SearchTree", lambda keys, how, make=module.SearchTree: built.append(len(keys)) or make(keys, how)
    )
    monkeypatch.setattr(lib.modules.memory, "SEARCHED", 100)
    bank, queries = Bank.new(keys_of(300), keys_of(300, seed=2)), keys_of(5, seed=3)
    attend(bank, queries.requires_grad_(), top_k=3)
    assert built == [], "none with gradients"
    known = len(module.TREES)
    with torch.no_grad():
        attend(bank, queries, top_k=3)
        attend(count_usage(bank, bank.usage), queries, top_k=3)
        assert built == [300] and len(module.TREES) == known + 1
        bank = bank.append(bank)
        attend(bank, queries, top_k=3)
    assert built == [300, 600] and len(module.TREES) == known + 1, "the earlier keys are gone"
