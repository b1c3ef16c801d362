"""A training step as scripts of this field write it, which the trainer's is measured against.

Eager, float32, NCHW, the same arithmetic up to rounding. Where ours is formulated for speed, here is the plain way:
attention is written out, as in the released PVT-v2; every semantic convolution of PSE resizes and smooths the guide
again, convolves by one region's kernels after the other and selects by a mask; every output resizes the mask and pools
it by a 31 x 31 window; gradients are clamped tensor by tensor, and Adam is PyTorch's default.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.modules.layers import resize_to
from lib.modules.pse import PSE, REGIONS, SemanticConv, region_guides

from ...training import WINDOW, structure_loss

__all__ = ["plain_form", "plain_loss", "plain_step"]


def plain_form(model: nn.Module) -> nn.Module:
    """Give the parts of `model` their plain formulations, in place."""
    for module in model.modules():
        if isinstance(module, PSE):
            module.forward = partial(plain_pse, module)
        elif hasattr(module, "fused_attn"):  # timm's name
            module.fused_attn = False
    return model


def plain_pse(pse: PSE, x: Tensor, logit: Tensor) -> Tensor:
    """PSE, one semantic convolution after the other. (N, C, H, W) and (N, 1, h, w) -> (N, M, H, W)."""
    features = pse.reduce(x)
    for layer in pse.layers:
        probability = resize_to(logit, x, align_corners=False).sigmoid()
        guide = region_guides(probability, layer.conv.guide_kernel)[:, 0]
        features = F.relu(layer.norm(SelectByMask.apply(convolve_by_region(layer.conv, features), guide)))
    return F.relu(features + pse.shortcut(x))


def convolve_by_region(conv: SemanticConv, x: Tensor) -> Tensor:
    """Convolve all images by their own kernels of one region, then of the next. (N, in, H, W) -> (N, 2, out, H, W)."""
    batch, _, height, width = x.shape
    stacked = x.reshape(1, -1, height, width)
    kernels = conv.predict(x).unflatten(1, (REGIONS, conv.out_channels, -1))  # (N, 2, out, in, k, k)
    regions = [
        F.conv2d(stacked, kernel.flatten(0, 1), padding=kernel.shape[-1] // 2, groups=batch)
        for kernel in kernels.unbind(1)
    ]
    return torch.stack([region.view(batch, -1, height, width) for region in regions], dim=1)


class SelectByMask(torch.autograd.Function):
    """`lib.modules.pse.SelectRegion` as its formula reads: a sum over regions, masked by where each is chosen."""

    @staticmethod
    def forward(ctx, regions: Tensor, guide: Tensor) -> Tensor:
        chosen = F.one_hot(guide.argmax(dim=1), REGIONS).movedim(-1, 1).unsqueeze(2)  # (N, 2, 1, H, W)
        ctx.save_for_backward(regions, guide, chosen)
        return (regions * chosen).sum(dim=1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        regions, guide, chosen = ctx.saved_tensors
        gain = (grad[:, None] * regions).sum(dim=2)
        weight = guide.softmax(dim=1)
        return grad[:, None] * chosen, weight * (gain - (weight * gain).sum(dim=1, keepdim=True))


def plain_loss(outputs: dict[str, Tensor], mask: Tensor) -> Tensor:
    """The sum of the structure losses of all outputs."""
    total = torch.zeros((), device=mask.device)
    for logits in outputs.values():
        target = F.interpolate(mask, size=logits.shape[-2:], mode="bilinear", align_corners=True)
        mean = F.avg_pool2d(target, WINDOW, stride=1, padding=WINDOW // 2)
        total = total + structure_loss(logits, target, weight=1 + 5 * (mean - target).abs())
    return total


def plain_step(model: nn.Module, image: Tensor, mask: Tensor) -> Callable[[], None]:
    """A function that makes one update of `model`, with an optimizer of its own."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, weight_decay=1e-4)

    def step() -> None:
        loss = plain_loss(model(image), mask)
        optimizer.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.clamp_(-0.5, 0.5)
        optimizer.step()
        loss.item()

    return step
