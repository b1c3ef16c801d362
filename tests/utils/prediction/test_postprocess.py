"""Logits at an image's own size."""

import pytest
import torch
import torch.nn.functional as F

from utils.prediction.postprocess import upsampled


@pytest.mark.parametrize("size", [(72, 128), (22, 22), (5, 9), (1, 40)])
def test_planes_are_resized_as_pytorch_does_in_double_precision(size):
    planes = 20 * torch.randn(3, 22, 22, generator=torch.Generator().manual_seed(0))
    exact = F.interpolate(planes[None].double(), size=size, mode="bilinear", align_corners=False)[0]
    ours = upsampled(planes, size)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=2e-5)


def test_half_precision_is_resized_in_float32():
    planes = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]], dtype=torch.bfloat16)
    assert upsampled(planes, (1, 1)).item() == 1.5
