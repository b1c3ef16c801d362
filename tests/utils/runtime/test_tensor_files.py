"""Files of tensors: whole or not at all, and why they cannot be written."""

import pytest
import torch

from measure.io import InputError
from utils.runtime import tensors_when_whole


def test_what_is_whole_replaces_what_was_there(tmp_path):
    path = tmp_path / "weights.pth"
    for value in (1.0, 2.0):
        with tensors_when_whole(path) as file:
            torch.save({"w": torch.full((3,), value)}, file)
        assert torch.load(path, weights_only=True)["w"].tolist() == [value] * 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("tensors", [[200_000], [1_000, 2_000, 100_000], [15_000, 9_900, 10], [1_000] * 50])
def test_the_system_says_why_a_file_does_not_fit_and_the_previous_one_stays(tmp_path, small_files, tensors):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"before")
    with pytest.raises(InputError) as caught, tensors_when_whole(path) as file:
        torch.save([torch.ones(count) for count in tensors], file)
    assert str(caught.value) == f"cannot write {path} (File too large); free some space or choose another place"
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_other_faults_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), tensors_when_whole(tmp_path / "weights.pth"):
        raise RuntimeError("mine")
    assert not list(tmp_path.iterdir())
