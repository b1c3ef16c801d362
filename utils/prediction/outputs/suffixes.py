"""How files are named by what is in them. No PyTorch is needed."""

__all__ = ["CONTOUR_SUFFIXES", "OPENCV_CODECS", "VIDEO_SUFFIXES"]

CONTOUR_SUFFIXES = (".json", ".geojson")
# what every OpenCV wheel can write, by suffix; H.264 is in none of them. Browsers play .webm
OPENCV_CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
VIDEO_SUFFIXES = tuple(OPENCV_CODECS)
