"""The page itself, in Gradio: what is on it and what its controls do. Imported only where Gradio is installed."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from measure.io import InputError, counted

from ..prediction import Predictor, VideoOptions, cut, find_regions, has_h264, open_source, predict_video
from ..visualization import draw_heat, draw_prediction

__all__ = ["open_page"]

SOURCES = ["upload", "webcam", "clipboard"]
VIEWS = ("outline", "outline and probability", "probability", "mask")
MOST_MEGAPIXELS = 50
FONTS = ("system-ui", "sans-serif")  # what every browser has: none is fetched
KEPT = 600  # seconds that a session's last image stays in memory, unused
ABOUT = "Research software, no medical device. Nothing that is shown here is kept."


@contextmanager
def open_page(
    predictor: Predictor, *, host: str = "127.0.0.1", port: int | None = None, max_upload: float, max_seconds: float
) -> Iterator[Any]:
    """Serve the page while the block runs.

    Args:
        predictor: what looks at the images.
        host: address to listen on.
        port: to listen on; None: a free one.
        max_upload: megabytes of a file that is taken.
        max_seconds: length of a clip that is taken.

    Yields:
        Gradio's page, with `local_url`.

    Raises:
        InputError: the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="polyp-page-") as folder:
        # read by Gradio when it is imported
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": folder, "HF_HUB_OFFLINE": "1"}
        page = Page(predictor, Path(folder), max_seconds).build()
        try:
            page.launch(
                server_name=host,
                server_port=port,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                max_file_size=int(max_upload * 1e6),
                show_error=True,
                footer_links=[],
                ssr_mode=False,
                theme=theme(),
            )
        except OSError as error:
            raise InputError(
                f"port {port} of {host} cannot be used, most likely it is taken; give another --port"
            ) from error
        try:
            yield page
        finally:
            page.close(verbose=False)


def theme() -> Any:
    import gradio

    return gradio.themes.Base(font=FONTS, font_mono=("monospace",))


class Page:
    """What the page does.

    Attributes:
        predictor: what looks at the images.
        folder: for the clips that are drawn; it goes with the page.
        max_seconds: length of a clip that is taken.
    """

    def __init__(self, predictor: Predictor, folder: Path, max_seconds: float):
        self.predictor, self.folder, self.max_seconds = predictor, folder, max_seconds

    def build(self) -> Any:
        """Lay the page out."""
        import gradio

        with gradio.Blocks(title="Polyp segmentation", analytics_enabled=False) as page:
            gradio.Markdown(f"## What the network takes for polyps\n{ABOUT}")
            with gradio.Row():
                threshold = gradio.Slider(0.02, 0.98, value=0.5, step=0.02, label="threshold (probability)")
                view = gradio.Radio(VIEWS, value=VIEWS[0], label="view")
            with gradio.Tab("Image"):
                seen = gradio.State(None, time_to_live=KEPT)
                with gradio.Row():
                    given = gradio.Image(
                        label="image, or the camera's picture", sources=["upload", "webcam", "clipboard"]
                    )
                    shown = gradio.Image(
                        label="seen", interactive=False, format="png", buttons=["download", "fullscreen"]
                    )
                told = gradio.Markdown()
                controls = [seen, threshold, view]
                given.change(self.look, [given, threshold, view], [seen, shown, told], api_name="look")
                for control in (threshold, view):
                    control.change(self.show, controls, [shown, told], api_name=False)
            with gradio.Tab("Clip"):
                with gradio.Row():
                    clip = gradio.Video(label=f"clip of at most {self.max_seconds:g} seconds", sources=["upload"])
                    drawn = gradio.Video(label="seen", interactive=False, buttons=["download"])
                clip_told = gradio.Markdown()
                start = gradio.Button("Look at the clip")
                start.click(self.follow, [clip, threshold, view], [drawn, clip_told], api_name="follow")
        return page.queue(default_concurrency_limit=1, max_size=16)

    def look(self, image: np.ndarray | None, threshold: float, view: str) -> tuple:
        """Run the network on an image; what is to be remembered, the picture and the words."""
        if image is None:
            return None, None, ""
        if image.shape[0] * image.shape[1] > MOST_MEGAPIXELS * 1e6:
            raise refusal(
                f"the image has {image.shape[1]} x {image.shape[0]} pixels; {MOST_MEGAPIXELS} megapixels are taken"
            )
        started = time.perf_counter()
        probability = self.predictor.probability(np.ascontiguousarray(image[..., :3]))
        seen = image, probability, time.perf_counter() - started
        return seen, *self.show(seen, threshold, view)

    def show(self, seen: tuple | None, threshold: float, view: str) -> tuple[np.ndarray | None, str]:
        """Draw what is remembered at a threshold, without running the network again."""
        if seen is None:
            return None, ""
        image, probability, seconds = seen
        grey = (255 * probability).round().astype(np.uint8)
        mask = cut(grey, threshold=threshold)
        drawings = {
            "mask": lambda: mask,
            "probability": lambda: draw_heat(image, probability),
            "outline": lambda: draw_prediction(image, grey, mask),
        }
        drawn = drawings.get(view, lambda: draw_prediction(image, grey, mask, tint=True))()
        return drawn, words(mask, probability, seconds)

    def follow(self, clip: str | None, threshold: float, view: str) -> tuple[str | None, str]:
        """Draw what the network sees into a clip."""
        if not clip:
            return None, ""
        out = self.folder / f"{time.time_ns()}{'.mp4' if has_h264() else '.webm'}"  # what browsers play
        try:
            source = open_source(clip)
            if source.count > self.max_seconds * source.rate:
                raise InputError(
                    f"the clip lasts {source.count / source.rate:.0f} seconds; {self.max_seconds:g} are taken, "
                    "--max_seconds allows more"
                )
            options = VideoOptions(size=self.predictor.size, threshold=threshold, tint=view != VIEWS[0])
            started = time.perf_counter()
            device = self.predictor.device
            count = predict_video(self.predictor.model, source, options=options, device=device, overlay=out)
        except InputError as error:
            raise refusal(str(error)) from error
        seconds = time.perf_counter() - started
        return str(out), f"{counted(count, 'frame')} in {seconds:.1f} s, {count / seconds:.1f} a second"


def words(mask: np.ndarray, probability: np.ndarray, seconds: float) -> str:
    """What is told of an image, Markdown."""
    regions = find_regions(mask, probability)
    lines = [
        f"{len(regions)} regions, {(mask > 0).mean():.1%} of the image; greatest probability {probability.max():.3f}; "
        f"{1000 * seconds:.0f} ms"
    ]
    for region in regions[:10]:
        x, y, width, height = region.box
        lines.append(f"- {width} x {height} pixels at ({x}, {y}), mean probability {region.mean:.3f}")
    return "\n".join(lines)


def refusal(sentence: str) -> Exception:
    """An error that the page shows."""
    import gradio

    return gradio.Error(sentence, print_exception=False)
