"""What myTest.py can be asked for, in one frozen dataclass its flags are made of. No PyTorch is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib import list_models
from measure.io import LARGEST_LIMIT, USUAL_LIMIT, InputError, Layout

from ..runtime import MACHINE, NETWORK, RELEASED, MachineOptions, NetworkOptions, option

__all__ = ["GROUPS", "PredictConfig"]

FILES, VIDEO, MAPS = "files", "video", "maps"

# the headings of --help, in their order
GROUPS = (FILES, MAPS, VIDEO, NETWORK, RELEASED, MACHINE)


@dataclass(frozen=True)
class PredictConfig(MachineOptions, NetworkOptions):
    """Which weights see what, and what is written of it.

    Raises:
        InputError: a value that cannot be used, or flags that do not go together; the message names the flag.
    """

    model: str | None = option(
        None,
        "name of the network, for weight files that do not say (default: sepnet)",
        group=NETWORK,
        choices=list_models(),
    )
    model_state_dict_path: str | None = option(
        None, "weights: ours or published (default: the starter weights that come with the project)", group=FILES
    )
    test_data_path: str = option(
        "data/TestDataset",
        "a folder of sets with images/ each, one set, a folder of images, one image, or SUN-SEG's splits with Frame/ "
        "each; pixels are taken as they are stored, whatever a file's orientation tag says, and so are maps",
        group=FILES,
    )
    images: str = option("images", "folder of a set's images", group=FILES, metavar="NAME")
    mask_suffix: str | None = option(
        None, "files whose names end so, as in 1_mask.png, are masks and no images", group=FILES, metavar="TEXT"
    )
    max_megapixels: float = option(
        USUAL_LIMIT,
        "images of more pixels are refused, before they take memory",
        group=FILES,
        low=0,
        high=LARGEST_LIMIT,
        low_open=True,
        metavar="N",
    )
    split: str | None = option(
        None, "only the images that this file names, one a line (see python -m utils split)", group=FILES
    )
    pred_save_path: str = option(
        "result",
        "maps go to <pred_save_path>/<set>/<stem>.png; of several classes to <class>/, merged/ and labels/ in it",
        group=FILES,
    )
    test_size: int | None = option(
        None,
        "input height and width, pixels (default: as trained, else as the authors trained)",
        group=MAPS,
        low=1,
        high=8192,
    )
    batch_size: int = option(8, "images a forward, or clips side by side", group=MAPS, low=1, high=4096)
    minmax: bool | None = option(
        None,
        "stretch every map to full range, as published maps are; --no-minmax keeps calibrated probabilities "
        "(default: maps of test sets are stretched, videos and maps of several classes are not)",
        group=MAPS,
    )
    heatmap: bool = option(
        False,
        "also draw probability and features over the images: heatmap/<set>/<stem>_probability.png, _features.png",
        group=MAPS,
    )
    input: str | None = option(
        None,
        "a video file, a folder of frames, an image or the number of a camera, in place of a test set",
        group=VIDEO,
    )
    overlay: str | None = option(
        None, "video to write: the input with the outline of what the network sees", group=VIDEO
    )
    masks: str | None = option(None, "folder for the mask of every frame, PNG, 0 or 255", group=VIDEO)
    tint: bool = option(False, "color the overlay by the probability", group=VIDEO)
    show_rate: bool = option(False, "write the frames a second into the overlay", group=VIDEO)
    frame_rate: float | None = option(
        None, "of the overlay, frames a second (default: the input's, else 25)", group=VIDEO, low=0.01, high=1000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if Path(self.images).is_absolute() or ".." in Path(self.images).parts:
            raise InputError(f"--images {self.images} was given; name a folder below the set's, as images/test")
        if self.input is None:
            self._refuse(
                "without --input", overlay=self.overlay, masks=self.masks, tint=self.tint, show_rate=self.show_rate
            )
            self._refuse("without --input", frame_rate=self.frame_rate)
            return
        self._refuse("with --input", split=self.split, heatmap=self.heatmap)
        if not (self.overlay or self.masks):
            raise InputError("--input was given without --overlay FILE or --masks FOLDER; name at least one of them")
        if self.overlay and self.masks and Path(self.overlay).resolve() == Path(self.masks).resolve():
            raise InputError(f"--overlay and --masks are both {self.masks}; a video and a folder need two places")
        if not self.overlay:
            self._refuse("without --overlay", tint=self.tint, show_rate=self.show_rate, frame_rate=self.frame_rate)

    @property
    def layout(self) -> Layout:
        """Where a set keeps its images."""
        return Layout(images=self.images, mask_suffix=self.mask_suffix or "")

    def _refuse(self, where: str, **flags: object) -> None:
        """Refuse flags that have no meaning there."""
        for name, value in flags.items():
            if value not in (None, False):
                raise InputError(f"--{name} was given {where}, where it means nothing; leave one of them out")
