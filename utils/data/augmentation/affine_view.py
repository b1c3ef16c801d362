"""What an augmented image shows of its source: geometry is put together first, then pixels are resampled once.

Sizes are (height, width); points are (x, y) with pixel centers at whole numbers, as OpenCV has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..preprocessing import resize, to_chw

__all__ = ["AffineView", "Size"]

Size = tuple[int, int]

WARPED_AT_ONCE = 4  # channels: OpenCV's bicubic warp takes no more


@dataclass(frozen=True)
class AffineView:
    """An image to be made of a source; every transform returns the view that it leads to.

    Attributes:
        size: height and width in pixels of its own.
        matrix: (3, 3), takes its points (x, y, 1) to the source's.
        window: (left, top, right, bottom) of the source's pixels that may be seen; everything else is black.
    """

    size: Size
    matrix: np.ndarray
    window: tuple[int, int, int, int]

    @classmethod
    def whole(cls, size: Size) -> AffineView:
        """A source of `size` as it is."""
        return cls(size, np.eye(3), (0, 0, size[1], size[0]))

    def is_whole(self, size: Size) -> bool:
        """Whether the image is the source, of `size`, as it is."""
        whole = AffineView.whole(size)
        return (self.size, self.window) == (size, whole.window) and np.array_equal(self.matrix, whole.matrix)

    def flipped_horizontally(self) -> AffineView:
        """Left and right exchanged."""
        return self._transformed([[-1, 0, self.size[1] - 1], [0, 1, 0], [0, 0, 1]], self.size)

    def flipped_vertically(self) -> AffineView:
        """Top and bottom exchanged."""
        return self._transformed([[1, 0, 0], [0, -1, self.size[0] - 1], [0, 0, 1]], self.size)

    def cropped(self, top: int, left: int, size: Size) -> AffineView:
        """A part of the image, or more than it, with black around."""
        return self._transformed([[1, 0, left], [0, 1, top], [0, 0, 1]], size)

    def resized(self, size: Size) -> AffineView:
        """The same in other pixels."""
        return self._transformed(_scaling(size, self.size), size)

    def rotated(self, degrees: float) -> AffineView:
        """Rotated counter-clockwise about the center; the size stays, what comes into view from outside is black."""
        center = (self.size[1] - 1) / 2, (self.size[0] - 1) / 2
        return self._transformed(np.vstack([cv2.getRotationMatrix2D(center, -degrees, 1), (0, 0, 1)]), self.size)

    def _transformed(self, transform: np.ndarray | list[list[float]], size: Size) -> AffineView:
        """Add a (3, 3) transform that takes points of the new image, of `size`, to this one's."""
        matrix = self.matrix @ np.asarray(transform, float)
        edges = _edges(matrix, size)
        first, last = np.maximum(self.window[:2], edges[:2]), np.minimum(self.window[2:], edges[2:])
        return AffineView(size, matrix, (*first.tolist(), *last.tolist()))

    def render(self, source: np.ndarray) -> np.ndarray:
        """Make the image, (*size, C) uint8, of the source, (H, W, C) uint8.

        Shrinking is antialiased as in PIL's bilinear filter, rotating is bicubic. Windows keep to whole pixels of the
        source.
        """
        left, top, right, bottom = self.window
        if right <= left or bottom <= top:
            return np.zeros((*self.size, source.shape[2]), np.uint8)
        upright = not self.matrix[[0, 1], [1, 0]].any()
        return (self._resize_window if upright else self._warp_window)(source[top:bottom, left:right])

    def _resize_window(self, seen: np.ndarray) -> np.ndarray:
        """Frame the source's window with black, resize and mirror it."""
        left, top, right, bottom = self.window
        edges = _edges(self.matrix, self.size)
        margins = top - edges[1], edges[3] - bottom, left - edges[0], edges[2] - right
        image = _resize(cv2.copyMakeBorder(seen, *margins, cv2.BORDER_CONSTANT) if any(margins) else seen, self.size)
        mirrored, upside_down = self.matrix[[0, 1], [0, 1]] < 0
        if not (mirrored or upside_down):
            return image
        return cv2.flip(image, -1 if mirrored and upside_down else int(mirrored)).reshape(image.shape)

    def _warp_window(self, seen: np.ndarray) -> np.ndarray:
        """Shrink the source's window to the image's pixel size, antialiased, and warp it from there."""
        x_step, y_step = np.maximum(1, np.linalg.norm(self.matrix[:2, :2], axis=1))  # source pixels a pixel
        height, width = seen.shape[:2]
        small = _resize(seen, (max(1, round(height / y_step)), max(1, round(width / x_step))))
        offset = np.array([[1, 0, -self.window[0]], [0, 1, -self.window[1]], [0, 0, 1]])
        matrix = (_scaling((height, width), small.shape[:2]) @ offset @ self.matrix)[:2]
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        channels = np.split(small, range(WARPED_AT_ONCE, small.shape[2], WARPED_AT_ONCE), axis=2)
        return np.dstack([cv2.warpAffine(some, matrix, self.size[::-1], flags=flags) for some in channels])


def _scaling(size: Size, other: Size) -> np.ndarray:
    """Takes points of an image of `size` to those of the same image at the `other` size."""
    y, x = other[0] / size[0], other[1] / size[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _edges(matrix: np.ndarray, size: Size) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the box around an image of `size` in its source, to the nearest pixel."""
    height, width = size
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]]) - [[0.5], [0.5], [0]]
    x, y = np.rint((matrix @ corners)[:2] + 0.5).astype(int).tolist()
    return min(x), min(y), max(x), max(y)


def _resize(image: np.ndarray, size: Size) -> np.ndarray:
    """Resize an (H, W, C) array as `preprocessing.resize` does tensors."""
    return image if image.shape[:2] == size else resize(to_chw(image), size).permute(1, 2, 0).numpy()
