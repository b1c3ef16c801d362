"""PSE, polyp semantic enhancement (SEPNet, IEEE TCSVT 2024): one predicted kernel for polyp, one for background.

(N, C, H, W) backbone map and (N, 1, h, w) coarse logit -> (N, M, H, W).

A semantic convolution predicts, for every image, one kernel per region, and each pixel takes the result of the region
it belongs to. That choice has no derivative: its backward is a surrogate (`SelectRegion`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ConvBNReLU, check_kernel, resize_to
from .precision import full_precision

__all__ = ["PSE", "SelectRegion", "SemanticConv", "gaussian_kernel", "region_guides"]

REGIONS = 2  # polyp, background


def gaussian_kernel(size: int) -> Tensor:
    """Return the (1, 1, size, size) kernel that smooths the guide map at the start of training; its sum is 1.

    Normal probabilities of `size` equal parts of an interval a little wider than one sigma to each side,
    sigma = 0.3 ((size - 1) / 2 - 1) + 0.8 (OpenCV's rule); the square root of their outer product, scaled to sum 1.
    """
    sigma = 0.3 * ((size - 1) / 2 - 1) + 0.8
    reach = sigma + (2 * sigma + 1) / size / 2
    edges = torch.linspace(-reach, reach, size + 1, dtype=torch.float64)
    parts = torch.special.ndtr(edges).diff()
    kernel = torch.outer(parts, parts).sqrt()
    return (kernel / kernel.sum()).float()[None, None]


def region_guides(probability: Tensor, kernels: Tensor) -> Tensor:
    """Turn a polyp probability into guide values per region, one guide for each of L smoothing kernels.

    The smoothed probability, stretched to [0, 1] per image, widens the polyp; background is the rest. Gradients run
    through all of it into the guiding logit. (N, 1, H, W) and (L, 1, k, k) -> (N, L, 2, H, W), each in [0, 1].
    """
    smooth = F.conv2d(probability, kernels, padding=kernels.shape[-1] // 2)  # (N, L, H, W)
    low, high = smooth.amin(dim=(2, 3), keepdim=True), smooth.amax(dim=(2, 3), keepdim=True)
    polyp = torch.maximum((smooth - low) / (high - low + 1e-8), probability)
    return torch.stack((polyp, 1 - polyp), dim=2)


class SelectRegion(torch.autograd.Function):
    """Each pixel takes the region with the larger guide value; the polyp where they are equal.

    Backward, with g the incoming gradient and s = softmax of the guide over the regions: a region receives g where it
    was chosen; the guide receives s_r (G_r - sum_k s_k G_k), G_r = sum over channels of g x region r, which for two
    regions is s_0 s_1 (G_0 - G_1) and its negative. Softmax and channel sums are at least float32 whatever the type of
    the regions.
    """

    @staticmethod
    def forward(ctx, regions: Tensor, guide: Tensor) -> Tensor:
        """(N, 2, C, H, W) and (N, 2, H, W) -> (N, C, H, W)."""
        is_polyp = guide[:, :1] >= guide[:, 1:]  # (N, 1, H, W)
        ctx.save_for_backward(regions, guide, is_polyp)
        return torch.where(is_polyp, regions[:, 0], regions[:, 1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        regions, guide, is_polyp = ctx.saved_tensors
        chosen = torch.stack((is_polyp, ~is_polyp), dim=1)  # (N, 2, 1, H, W)
        polyp, background = full_precision(regions).unbind(1)
        gain = (full_precision(grad) * (polyp - background)).sum(dim=1, keepdim=True)
        to_polyp = full_precision(guide).softmax(dim=1).prod(dim=1, keepdim=True) * gain
        return grad[:, None] * chosen, torch.cat((to_polyp, -to_polyp), dim=1).to(guide.dtype)


class SemanticConv(nn.Module):
    """A convolution whose kernel is predicted per image and region.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the result.
        kernel: height and width of the predicted kernels, pixels; odd.
        hidden: hidden channels per region of the predictor.
        guide_kernel: height and width of the learned kernel that smooths this convolution's guide map, pixels; odd.
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, hidden: int, guide_kernel: int):
        super().__init__()
        check_kernel(kernel, guide_kernel)
        self.out_channels = out_channels
        self.predict = nn.Sequential(
            nn.AdaptiveAvgPool2d(kernel),
            nn.Conv2d(in_channels, REGIONS * hidden, 1),
            nn.Sigmoid(),
            nn.Conv2d(REGIONS * hidden, REGIONS * in_channels * out_channels, 1, groups=REGIONS),
        )
        self.guide_kernel = nn.Parameter(gaussian_kernel(guide_kernel))

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """(N, in, H, W) and guide values per region (N, 2, H, W) -> (N, out, H, W)."""
        return SelectRegion.apply(self.convolve(x), guide)

    def convolve(self, x: Tensor) -> Tensor:
        """Convolve every image by its own kernels, one per region. (N, in, H, W) -> (N, 2, out, H, W)."""
        batch, channels, height, width = x.shape
        kernels = self.predict(x)  # (N, 2 * out * in, k, k), input channel fastest
        convolve = convolve_by_products if x.is_cuda else convolve_in_groups
        regions = convolve(x, kernels.unflatten(1, (REGIONS * self.out_channels, channels)).to(x.dtype))
        return regions.reshape(batch, REGIONS, self.out_channels, height, width)


def convolve_in_groups(x: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every image by its own kernels, an image a group: quicker on a CPU.

    (N, in, H, W) and (N, out, in, k, k) -> (N, out, H, W), in any layout that reshapes to it.
    """
    batch, _, height, width = x.shape
    stacked = x.reshape(1, -1, height, width)
    return F.conv2d(stacked, kernels.flatten(0, 1), padding=kernels.shape[-1] // 2, groups=batch)


def convolve_by_products(x: Tensor, kernels: Tensor) -> Tensor:
    """The same by one product of matrices for every image: a sixth fewer kernels to start on CUDA, and less time."""
    size = kernels.shape[-1]
    columns = F.unfold(x, size, padding=size // 2)  # (N, in * k * k, H * W)
    return kernels.flatten(2) @ columns


class SemanticLayer(nn.Module):
    """Semantic convolution, batch normalization, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, hidden: int, guide_kernel: int):
        super().__init__()
        self.conv = SemanticConv(in_channels, out_channels, kernel=kernel, hidden=hidden, guide_kernel=guide_kernel)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x, guide)), inplace=True)


class PSE(nn.Module):
    """Enhance a backbone map by the semantics of polyp and background under a coarse segmentation.

    Args:
        in_channels: channels of the backbone's map.
        channels: M, the channels of the result.
        expansion: width between the layers, as a multiple of M.
        kernel: see `SemanticConv`.
        hidden: see `SemanticConv`.
        guide_kernel: see `SemanticConv`.
    """

    def __init__(self, in_channels: int, *, channels: int, expansion: int, kernel: int, hidden: int, guide_kernel: int):
        super().__init__()
        wide = expansion * channels
        self.reduce = nn.Sequential(
            nn.Conv2d(in_channels, wide, 1),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.layers = nn.ModuleList(
            SemanticLayer(ins, outs, kernel=kernel, hidden=hidden, guide_kernel=guide_kernel)
            for ins, outs in ((channels, wide), (wide, channels), (channels, channels))
        )
        same_width = in_channels == channels
        self.shortcut = nn.Identity() if same_width else ConvBNReLU(in_channels, channels, 1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # near-ties decide regions: no half precision
            probability = resize_to(full_precision(guide), x, align_corners=False).sigmoid()
            kernels = full_precision(torch.cat([layer.conv.guide_kernel for layer in self.layers]))
            guides = region_guides(probability, kernels)  # of all layers at once: they look at the same probability
        features = self.reduce(x)
        for layer, regions in zip(self.layers, guides.unbind(1), strict=True):
            features = layer(features, regions)
        return F.relu(features + self.shortcut(x))
