"""Augmentations of what differs from hospital to hospital: color, light, texture, sharpness, how borders are drawn.

None of them moves a pixel. They serve networks that are to work on images of hospitals they were not trained on. All
are cheap: a matrix product, a table or a small filter, on the sample after its resize where that has fewer pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .transforms import PixelSize, PixelTransform, Sample, probability, setting

__all__ = ["Blur", "Gamma", "Hue", "MaskBorder", "Noise", "Shading", "Texture", "Tint"]

GREY = np.array([0.299, 0.587, 0.114])  # of red, green, blue (ITU-R BT.601)
# RGB -> luma and two chroma axes at right angles to grey, in which a change of hue is a rotation
RGB_TO_YIQ = np.array([GREY, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


@dataclass(frozen=True)
class Hue(PixelTransform):
    """With probability `p`, turn all hues by an angle from `degrees` and scale the saturation by a factor.

    A rotation and a scaling of the chroma plane (YIQ), so that luma stays and grey stays grey.
    """

    degrees: tuple[float, float] = setting((-20.0, 20.0), -180, 180)
    saturation: tuple[float, float] = setting((0.6, 1.4))
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        angle, factor = math.radians(rng.uniform(*self.degrees)), rng.uniform(*self.saturation)
        cosine, sine = factor * math.cos(angle), factor * math.sin(angle)
        turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
        return cv2.transform(image, np.linalg.inv(RGB_TO_YIQ) @ turn @ RGB_TO_YIQ), mask


@dataclass(frozen=True)
class Tint(PixelTransform):
    """With probability `p`, scale red, green and blue by a factor from `gain` each: another light or white balance."""

    gain: tuple[float, float] = setting((0.8, 1.2))
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        return cv2.transform(image, np.diag(rng.uniform(*self.gain, size=3))), mask


@dataclass(frozen=True)
class Gamma(PixelTransform):
    """With probability `p`, raise levels, as fractions of 255, to an exponent from `exponent`: under 1 is brighter.

    The exponent's logarithm is uniform, so that a range like 0.5..2 darkens as often as it brightens.
    """

    exponent: tuple[float, float] = setting((0.7, 1.4), 0.05, 20)
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        exponent = math.exp(rng.uniform(*np.log(self.exponent)))
        table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
        return cv2.LUT(image, table), mask


@dataclass(frozen=True)
class Shading(PixelTransform):
    """With probability `p`, light the image unevenly: a smooth random field of factors between 1 - `strength` and
    1 + `strength`, with `cells` x `cells` independent values."""

    strength: float = setting(0.3, 0, 1)
    cells: int = setting(3, 2, 64)
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        coarse = rng.uniform(1 - self.strength, 1 + self.strength, size=(self.cells, self.cells)).astype(np.float32)
        field = cv2.resize(coarse, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(image, cv2.cvtColor(field, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U), mask


@dataclass(frozen=True)
class Texture(PixelTransform):
    """With probability `p`, replace a fraction from `mix` of the image by its convolution with random weights.

    Random convolutions keep shapes and draw new colors and fine texture (Xu et al., RandConv, ICLR 2021): 3 x 3
    channels of side x side weights, normal with variance 1 / (3 side^2), the side odd and at most `side` pixels. The
    mean color is taken off before and added afterwards, in place of the paper's normalized images.
    """

    side: int = setting(5, 1, 31)
    mix: tuple[float, float] = setting((0.0, 0.5), 0, 1)
    p: float = probability(0.3)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        side = 2 * int(rng.integers((self.side + 1) // 2)) + 1
        weights = rng.normal(scale=1 / math.sqrt(3 * side**2), size=(3, 3, side, side))
        fraction = rng.uniform(*self.mix)
        mean = np.float32(cv2.mean(image)[:3])
        planes = cv2.split(image - mean)
        random = [
            sum(cv2.filter2D(plane, -1, kernel) for plane, kernel in zip(planes, kernels, strict=True))
            for kernels in weights
        ]
        return cv2.addWeighted(image, 1 - fraction, cv2.merge(random) + mean, fraction, 0, dtype=cv2.CV_8U), mask


@dataclass(frozen=True)
class Blur(PixelTransform):
    """With probability `p`, blur by a Gaussian; its deviation is a fraction from `deviation` of the image's height."""

    deviation: tuple[float, float] = setting((0.0, 0.005), 0, 0.2)
    p: float = probability(0.3)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        pixels = rng.uniform(*self.deviation) * image.shape[0]
        return (cv2.GaussianBlur(image, (0, 0), pixels) if pixels > 0 else image), mask


@dataclass(frozen=True)
class Noise(PixelTransform):
    """With probability `p`, add normal noise to every level; its deviation comes from `deviation`, in levels."""

    deviation: tuple[float, float] = setting((0.0, 10.0), 0, 255)
    p: float = probability(0.3)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        deviation = rng.uniform(*self.deviation)
        noise = rng.standard_normal(image.shape, np.float32)
        return cv2.addWeighted(image, 1, noise, deviation, 0, dtype=cv2.CV_8U), mask


@dataclass(frozen=True)
class MaskBorder(PixelTransform):
    """With probability `p`, move the mask's border outward by a whole number of pixels from `pixels`; negative: inward.

    Annotators disagree about borders; UACANet (ACM MM 2021) trains with masks dilated or eroded by an ellipse of 2 to 4
    pixels across, each a third of the time. The image stays.
    """

    pixels: tuple[int, int] = setting((-2, 2), -100, 100)
    p: float = probability(0.5)

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, pixel_size: PixelSize) -> Sample:
        if rng.random() >= self.p:
            return image, mask
        pixels = int(rng.integers(*self.pixels, endpoint=True))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
        return image, (cv2.dilate if pixels > 0 else cv2.erode)(mask, disc).reshape(mask.shape)
