"""The search tree finds what looking at all keys finds, and a memory that is searched reads as one that is not."""

import pytest
import torch

import lib.modules.memory
from lib.modules import nearest as module
from lib.modules.memory import Bank, attend, count_usage
from lib.modules.nearest import KeyTree, nearest


def keys_of(count, *, seed=0, dtype=torch.float64, spread=1.0):
    return spread * torch.randn(count, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("count", [5, 63, 64, 129, 1000, 4097])
@pytest.mark.parametrize("first_look", [1, 4, 1000])
def test_the_nearest_are_those_of_all(count, first_look, monkeypatch):
    monkeypatch.setattr(module, "LEAVES", first_look)
    keys, queries = keys_of(count), keys_of(70, seed=1, spread=2.0)
    tree = KeyTree.of(keys)
    assert sorted(tree.order.flatten().tolist())[:count] == list(range(count)), "every key lies in one leaf"
    index = nearest(tree, queries, 5)
    expected = torch.cdist(queries, keys).topk(5, largest=False).indices
    assert torch.equal(index.sort(dim=1).values, expected.sort(dim=1).values)


def test_equal_keys_are_found_as_often_as_they_are_there():
    keys = torch.cat((keys_of(100), torch.zeros(300, 4, dtype=torch.float64)))
    index = nearest(KeyTree.of(keys), torch.zeros(3, 4, dtype=torch.float64), 20)
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
        assert torch.allclose(expected, found, atol=1e-12)


def test_a_tree_is_built_once_and_goes_with_its_keys(monkeypatch):
    built = []
    monkeypatch.setattr(module.KeyTree, "of", lambda keys, of=KeyTree.of: built.append(len(keys)) or of(keys))
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
