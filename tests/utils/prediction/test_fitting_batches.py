"""A batch that does not fit into a GPU's memory is halved, once, and said so."""

import pytest
import torch
from torch import nn

from measure.io import InputError
from utils.prediction.images import FittingBatches
from utils.prediction.outputs import recorded


class Small(nn.Module):
    """A network on a GPU that holds so many images."""

    def __init__(self, room):
        super().__init__()
        self.room, self.seen = room, []

    def forward(self, images):
        self.seen.append(len(images))
        if len(images) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return {"out": images.sum(dim=1, keepdim=True)}


def test_a_batch_is_halved_until_it_fits_and_stays_so(capsys):
    images = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    model = Small(room=3)
    forward = FittingBatches(model)
    for _ in range(2):
        assert torch.equal(forward(images, record=[])["out"], images.sum(dim=1, keepdim=True))
    assert model.seen == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]
    told = capsys.readouterr().err
    assert (
        told.count("note: ") == 2
        and "note: 4 images do not fit into the GPU's memory at once; 2 do from here on" in told
    )


class FullOnce(nn.Module):
    """A network whose GPU is full in its second forward, after its head has run."""

    def __init__(self):
        super().__init__()
        self.head, self.seen = nn.Identity(), 0

    def forward(self, images):
        self.seen += 1
        out = self.head(images[:, :1])
        if len(images) > 4 or self.seen == 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return {"out": out}


def test_what_is_recorded_for_heat_maps_is_of_the_forwards_that_count():
    images = torch.arange(8.0)[:, None, None, None].expand(8, 3, 1, 1)
    model = FullOnce()
    with recorded(model) as record:
        FittingBatches(model)(images, record=record)
    assert torch.cat(record[1::2]).flatten().tolist() == list(range(8))


def test_a_single_image_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="one image of 4 x 4 pixels does not fit into the GPU's memory"):
        FittingBatches(Small(room=0))(torch.zeros(2, 3, 4, 4), record=[])
