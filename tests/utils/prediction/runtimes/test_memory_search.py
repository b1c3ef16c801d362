"""An exported step finds the entries of its memory that comparing all of them finds, in blocks."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from lib.modules import memory as memories
from utils.prediction.runtimes.clip_graphs import BLOCK, attend, most_similar
from utils.prediction.runtimes.onnx_file import quiet

KEYS, WIDTH, OWN, TOP_K = 4, 22, 64, 20
HOW = {"key_width": KEYS, "top_k": TOP_K, "limit": 35}
onnx = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))), reason="needs packages that requirements.txt names"
)


def rows(count, *, seed=0):
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


def plain(memory, own):
    """What `attend` gives, by lib's search without blocks and without a tree."""
    bank, fresh = (memories.Bank(of[:, :KEYS], of[:, KEYS:-2], of[:, -2], of[:, -1]) for of in (memory, own))
    with torch.enable_grad():
        readout, used = memories.attend(bank if len(bank) else fresh, fresh.keys, top_k=TOP_K)
    return torch.cat((readout, fresh.values), dim=1), used[: len(memory)]


@pytest.mark.parametrize("blocks", [5, 6, 70])
def test_the_blocks_hold_what_a_search_of_all_finds(blocks):
    affinity = torch.randn(40, BLOCK * blocks, generator=torch.Generator().manual_seed(blocks))
    best, places = most_similar(affinity, 5)
    expected, expected_places = affinity.topk(5)
    assert torch.equal(best, expected)
    assert torch.equal(places, expected_places)


def test_the_most_similar_entries_may_all_be_in_one_block_and_each_in_its_own():
    affinity = torch.zeros(2, 7 * BLOCK)
    affinity[0, 3::7][:4] = torch.tensor([1.0, 4, 3, 2])  # places 3, 10, 17, 24 are all of block 3
    affinity[1, 100:104] = torch.tensor([1.0, 4, 3, 2])  # neighbors are of different blocks
    best, places = most_similar(affinity, 4)
    assert best.tolist() == [[4, 3, 2, 1]] * 2
    assert places.tolist() == [[10, 17, 24, 3], [101, 102, 103, 100]]


def test_of_equal_affinities_as_many_different_entries_are_found():
    affinity = torch.randint(0, 3, (50, 30 * BLOCK), generator=torch.Generator().manual_seed(0)).float()
    best, places = most_similar(affinity, TOP_K)
    assert torch.equal(best, affinity.topk(TOP_K).values)
    assert torch.equal(affinity.gather(1, places), best)
    assert all(len(set(row)) == TOP_K for row in places.tolist())


@pytest.mark.parametrize("count", [0, TOP_K, 63, 64, 65, 1000, 5003])
def test_a_memory_of_any_length_is_read_as_by_the_search_of_all(count):
    memory, own = rows(count), rows(OWN, seed=1)
    for found, expected in zip(attend(memory, own, **HOW), plain(memory, own), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_fewer_entries_than_a_pixel_reads_are_all_there_is():
    """The frame's own entries and the rows that fill the blocks get no weight."""
    memory, own = rows(3), rows(OWN, seed=1)
    found, used = attend(memory, own, **HOW)
    weight = (own[:, :KEYS] @ memory[:, :KEYS].T - memory[:, :KEYS].square().sum(dim=1) / 2).softmax(dim=1)
    torch.testing.assert_close(found[:, :16], weight @ memory[:, KEYS:-2])
    torch.testing.assert_close(used, weight.sum(dim=0))


@onnx
@pytest.mark.slow
def test_onnx_runtime_finds_the_same_in_memories_of_any_length():
    import onnxruntime

    class Search(torch.nn.Module):
        def forward(self, memory, own):
            return attend(memory, own, **HOW)

    own = rows(OWN, seed=1)
    lengths = {"memory": {0: torch.export.Dim("entries")}, "own": {}}
    with quiet(), torch.no_grad():
        program = torch.onnx.export(Search(), (rows(200), own), dynamo=True, dynamic_shapes=lengths, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    for count in (0, 3, 64, 5003):
        memory = rows(count)
        found = session.run(None, dict(zip(names, (memory.numpy(), own.numpy()), strict=True)))
        for array, expected in zip(found, attend(memory, own, **HOW), strict=True):
            np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-5)
