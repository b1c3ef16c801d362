"""How commands end that PyTorch stops."""

import pytest

from utils.runtime import run


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 38654705664 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_too_little_memory_is_said_in_a_sentence(error, capsys):
    def work():
        raise error

    assert run(work) == 1
    assert capsys.readouterr().err == (
        "error: the memory of this machine or its GPU is too small for it; ask for smaller sizes or batches\n"
    )


def test_other_faults_of_the_code_are_not_hidden():
    def work():
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        run(work)
