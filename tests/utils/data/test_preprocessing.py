"""Resizing is PIL's and normalization ImageNet's."""

import numpy as np
import pytest
import torch
from PIL import Image

from utils.data.preprocessing import normalize, resize, standardized, to_chw


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(256, size=(12, 15, 3), dtype=np.uint8)).resize((150, 120), Image.BILINEAR)
    return np.asarray(smooth)


@pytest.mark.parametrize("size", [(64, 64), (352, 352)])
def test_resizing_is_pils_up_to_one_level(image, size):
    ours = resize(to_chw(image), size).permute(1, 2, 0).numpy().astype(int)
    theirs = np.asarray(Image.fromarray(image).resize(size[::-1], Image.BILINEAR)).astype(int)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.filterwarnings("error")
def test_an_array_that_must_not_be_written_to_is_taken_without_a_warning(image):
    assert not image.flags.writeable
    taken = to_chw(image)
    taken[0, 0, 0] += 1
    assert taken[0, 0, 0] != image[0, 0, 0] and np.array_equal(taken[1:].permute(1, 2, 0), image[..., 1:])


def test_normalisation_is_imagenets():
    image = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert normalize(image).flatten().tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_levels_looked_up_are_the_formulas_to_the_bit(memory_format):
    levels = torch.arange(2 * 3 * 16 * 8).to(torch.uint8).view(2, 3, 16, 8).contiguous(memory_format=memory_format)
    normalized = normalize(levels)
    assert torch.equal(normalized, standardized(levels))
    assert normalized.is_contiguous(memory_format=torch.channels_last)
