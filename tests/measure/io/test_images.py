"""Images of more than 8 bits: the upper byte, and a refusal where that would be black."""

import cv2
import numpy as np
import pytest

from measure.io import InputError, read_rgb


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("highest", "is_read"), [(0, True), (200, False), (4095, False), (4096, True), (65535, True)])
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_of_twelve_bits_are_not_read_as_black(tmp_path, suffix, highest, is_read, channels):
    if suffix == ".tif" and channels == 3:
        pytest.skip("Pillow does not tell the depth of such a TIFF")
    values = np.zeros((6, 7) if channels == 1 else (6, 7, 3), np.uint16)
    values[2:4] = highest
    path = tmp_path / f"frame{suffix}"
    cv2.imwrite(str(path), values)
    if is_read:
        assert read_rgb(path).shape == (6, 7, 3) and read_rgb(path).max() == highest >> 8
    else:
        bits = highest.bit_length()
        with pytest.raises(InputError, match=f"{highest} is its highest value of 65535: numbers of {bits} bits would"):
            read_rgb(path)


def test_opacity_does_not_hide_how_dark_an_image_is(tmp_path):
    values = np.full((6, 7, 4), 65535, np.uint16)
    values[..., :3] = 3000
    cv2.imwrite(str(tmp_path / "frame.png"), values)
    with pytest.raises(InputError, match="3000 is its highest value"):
        read_rgb(tmp_path / "frame.png")
