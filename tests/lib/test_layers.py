"""The small layers that networks are put together from."""

import torch
import torch.nn.functional as F

from lib.modules.layers import GlobalPool, global_mean


def test_the_global_mean_and_its_gradient_are_those_of_pytorch():
    x = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    upstream = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -7.0]])
    global_mean(x).backward(upstream)
    ours, x.grad = x.grad, None
    mean = x.mean(dim=(2, 3))
    mean.backward(upstream)
    assert torch.equal(global_mean(x), mean) and torch.equal(ours, x.grad)
    assert torch.equal(ours[1, 2], torch.full((5, 7), -0.2))  # -7 over 35 pixels


def test_the_global_pool_is_the_adaptive_one_with_and_without_gradients():
    x = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(GlobalPool()(x), F.adaptive_avg_pool2d(x, 1))
    assert torch.equal(GlobalPool()(x.requires_grad_()), F.adaptive_avg_pool2d(x, 1))
