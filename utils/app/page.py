"""The page itself, in Gradio: what is on it and what its controls do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from lib import ModelError
from measure.io import InputError, counted

from ..prediction import Predictor, VideoOptions, cut, find_regions, has_h264, predict_video
from ..visualization import draw_heat, draw_prediction
from .uploads import KEPT, LimitedSource, discard, open_clip, read_image

__all__ = ["Page"]

VIEWS = ("outline", "outline and probability", "probability", "mask")
SESSIONS = 16  # whose last image stays in memory; of more, the oldest is forgotten
TELL = 0.5  # seconds between words on how far a clip is
ABOUT = f"Research software, no medical device. What is given and shown here is removed after {KEPT // 60} minutes."


class Page:
    """What the page does.

    Attributes:
        predictor: what looks at the images.
        folder: for the clips that are drawn; it goes with the page.
        max_seconds: length of a clip that is taken.
        blocks: the page, laid out.
        closing: set when it ends; clips end then, too.
        drawing: clips that are being drawn.
    """

    def __init__(self, predictor: Predictor, folder: Path, max_seconds: float):
        self.predictor, self.folder, self.max_seconds = predictor, folder, max_seconds
        self.closing, self.drawing = threading.Event(), set[Future]()
        self.blocks = self._blocks()

    def _blocks(self) -> Any:
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
                    # Gradio would decode whatever Pillow knows, of any size
                    given.preprocess = self.uploaded_image
                    shown = gradio.Image(
                        label="seen", interactive=False, format="png", buttons=["download", "fullscreen"]
                    )
                told = gradio.Markdown()
                controls = [seen, threshold, view]
                # one after the other: of two controls that are moved at once, the later answer is the one that stays
                given.change(
                    self.look, [given, threshold, view], [seen, shown, told], api_name="look", concurrency_id="image"
                )
                for control in (threshold, view):
                    control.change(self.show, controls, [shown, told], api_name=False, concurrency_id="image")
            with gradio.Tab("Clip"):
                with gradio.Row():
                    clip = gradio.Video(label=f"clip of at most {self.max_seconds:g} seconds", sources=["upload"])
                    clip.preprocess = uploaded_path  # Gradio might start a program to convert it
                    drawn = gradio.Video(label="seen", interactive=False, buttons=["download"])
                clip_told = gradio.Markdown()
                start = gradio.Button("Look at the clip")
                start.click(self.follow, [clip, threshold, view], [drawn, clip_told], api_name="follow")
        page.state_session_capacity = SESSIONS
        return page.queue(default_concurrency_limit=1, max_size=16)

    def close(self) -> None:
        """End the clips that are being drawn."""
        self.closing.set()
        wait(set(self.drawing), timeout=10)

    def uploaded_image(self, payload: Any) -> np.ndarray | None:
        """The image that a browser uploaded, (H, W, 3) uint8 RGB."""
        if payload is None:
            return None
        try:
            return read_image(payload.path)
        except InputError as error:
            discard(Path(payload.path), self.folder)
            raise refusal(error) from error

    def look(self, image: np.ndarray | None, threshold: float, view: str) -> tuple:
        """Run the network on an image; what is to be remembered, the picture and the words."""
        if image is None:
            return None, None, ""
        started = time.perf_counter()
        try:
            probability = self.predictor.probability(image)
        except ModelError as error:
            raise refusal(error) from error
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

    def follow(self, clip: str | None, threshold: float, view: str) -> Iterator[tuple[Any, str]]:
        """Draw what the network sees into a clip; tells how far it is, and ends early where nobody waits any more."""
        import gradio

        if not clip:
            yield None, ""
            return
        left = threading.Event()
        out = self.folder / f"{time.time_ns()}{'.mp4' if has_h264() else '.webm'}"  # what browsers play
        started = time.perf_counter()
        try:
            source = open_clip(clip, max_seconds=self.max_seconds, left=lambda: left.is_set() or self.closing.is_set())
            work = self._start(source, out, threshold, view)
            while not wait([work], timeout=TELL).done:
                yield gradio.skip(), f"{counted(source.given, 'frame')} so far"
            count = work.result()
        except (InputError, ModelError) as error:
            discard(Path(clip), self.folder)
            raise refusal(error) from error
        finally:
            left.set()
        seconds = time.perf_counter() - started
        yield str(out), f"{counted(count, 'frame')} in {seconds:.1f} s, {count / seconds:.1f} a second"

    def _start(self, source: LimitedSource, out: Path, threshold: float, view: str) -> Future:
        """Draw a clip in another thread; what is drawn in vain is removed."""
        options = VideoOptions(size=self.predictor.size, threshold=threshold, tint=view != VIEWS[0])

        def draw() -> int:
            try:
                model, device = self.predictor.model, self.predictor.device
                count = predict_video(model, source, options=options, device=device, overlay=out)
            except Exception:
                out.unlink(missing_ok=True)
                raise
            if source.left():
                out.unlink(missing_ok=True)
            return count

        pool = ThreadPoolExecutor(1)
        work = pool.submit(draw)
        pool.shutdown(wait=False)
        self.drawing.add(work)
        work.add_done_callback(self.drawing.discard)
        return work


def uploaded_path(payload: Any) -> str | None:
    """Where the file lies that a browser uploaded."""
    return None if payload is None else payload.path


def words(mask: np.ndarray, probability: np.ndarray, seconds: float) -> str:
    """What is told of an image, Markdown."""
    regions = find_regions(mask, probability)
    lines = [
        f"{counted(len(regions), 'region')}, {(mask > 0).mean():.1%} of the image; greatest probability "
        f"{probability.max():.3f}; {1000 * seconds:.0f} ms"
    ]
    for region in regions[:10]:
        x, y, width, height = region.box
        lines.append(f"- {width} x {height} pixels at ({x}, {y}), mean probability {region.mean:.3f}")
    return "\n".join(lines)


def refusal(error: Exception) -> Exception:
    """An error that the page shows."""
    import gradio

    return gradio.Error(str(error), print_exception=False)
