"""Means over networks and views: equal to the formula written out, and undone where images were mirrored."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.helpers.weights import untrained
from utils.phantom import phantom_still
from utils.prediction import MapOptions, Predictor
from utils.prediction.averaging import AveragedNetwork


class Brightness(nn.Module):
    """A stand-in: the logit of a pixel is its own brightness, times a factor."""

    kind, smallest, divisor = "image", 2, 2

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, image):
        return {"out": self.factor * image.mean(dim=1, keepdim=True)}


class LeftEdge(Brightness):
    """A stand-in that sees a polyp at the left edge of whatever it is given."""

    def forward(self, image):
        out = torch.full_like(image[:, :1], -2.0)
        out[..., 0] = 2.0
        return {"out": out}


def test_the_mean_and_the_deviation_are_those_of_probabilities():
    image = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = AveragedNetwork([Brightness(1.0), Brightness(3.0)], [8, 8], flips=False)(image)
    first, second = (factor * image.mean(dim=1, keepdim=True) for factor in (1.0, 3.0))
    mean = (first.sigmoid() + second.sigmoid()) / 2
    assert torch.allclose(outputs["out"].sigmoid(), mean, atol=1e-6)
    assert torch.allclose(outputs["spread"], (first.sigmoid() - second.sigmoid()).abs() / 2, atol=1e-6)


def test_mirror_images_are_mirrored_back():
    image = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    pixelwise = Brightness(1.0)
    outputs = AveragedNetwork([pixelwise], [6], flips=True)(image)
    assert torch.allclose(outputs["out"], pixelwise(image)["out"], atol=1e-5) and outputs["spread"].max() < 1e-6
    edge = AveragedNetwork([LeftEdge(1.0)], [6], flips=True)(image)
    sides = edge["out"].sigmoid()[0, 0]
    expected = (torch.sigmoid(torch.tensor(2.0)) + torch.sigmoid(torch.tensor(-2.0))) / 2
    assert torch.allclose(sides[:, 0], expected) and torch.allclose(sides[:, -1], expected)
    assert torch.allclose(sides[:, 1:-1], torch.sigmoid(torch.tensor(-2.0)))


def test_scales_are_rounded_to_what_the_network_takes_and_brought_back():
    seen = []

    class Sized(Brightness):
        def forward(self, image):
            seen.append(image.shape[-1])
            return super().forward(image)

    image = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    outputs = AveragedNetwork([Sized(1.0)], [16], flips=False, scales=(1.0, 0.7, 0.01))(image)
    assert seen == [16, 12, 2] and outputs["out"].shape == (1, 1, 16, 16)
    sizes = [F.interpolate(image, size=(s, s), mode="bilinear", antialias=True) for s in (12, 2)]
    answers = [image.mean(1), *(F.interpolate(s.mean(1)[None], 16, mode="bilinear")[0] for s in sizes)]
    expected = sum(answer.sigmoid() for answer in answers) / 3
    assert torch.allclose(outputs["out"].sigmoid()[0], expected, atol=1e-5)


def test_certain_answers_stay_finite():
    outputs = AveragedNetwork([Brightness(1e6)], [4], flips=True)(torch.ones(1, 3, 4, 4))
    assert outputs["out"].isfinite().all() and outputs["out"].sigmoid().min() > 1 - 1e-6


@pytest.mark.slow
def test_a_predictor_of_two_weights_gives_their_mean_a_mask_and_their_disagreement(tmp_path):
    paths = [untrained("sepnet", tmp_path / f"{seed}.pth", size=64, seed=seed) for seed in (0, 1)]
    image = phantom_still(seed=3, size=(70, 90))[0]
    first, second = (Predictor.from_checkpoint(path, device="cpu").probability(image) for path in paths)
    options = MapOptions(threshold=0.45, min_region=0.001)
    found = Predictor.from_checkpoint(paths, device="cpu", options=options).predict(image)
    # averaged at the network's resolution, and brought to the image's size afterwards
    assert np.abs(found.probability - (first + second) / 2).max() < 0.01
    assert np.abs(found.uncertainty - np.abs(first - second) / 2).max() < 0.02
    assert set(np.unique(found.mask)) <= {0, 255} and sum(r.area for r in found.regions) == (found.mask > 0).sum()
    assert Predictor.from_checkpoint(paths[0], device="cpu").predict(image).uncertainty is None


@pytest.mark.slow
def test_a_predictor_crops_the_border_and_pastes_back(tmp_path):
    path = untrained("sepnet", tmp_path / "w.pth", size=64)
    image = np.zeros((100, 140, 3), np.uint8)
    image[20:84, 30:94] = phantom_still(seed=3, size=(64, 64))[0].clip(60)
    cropped = Predictor.from_checkpoint(path, device="cpu", options=MapOptions(crop_border=True))
    probability = cropped.probability(image)
    assert probability.shape == (100, 140) and probability[:15].max() == 0 and probability[:, 100:].max() == 0
    assert np.array_equal(next(cropped.stream([image])), probability)
