"""What prediction can be asked for: `MapOptions` for all ways to it, `PredictConfig` for myTest.py and its flags.

No PyTorch is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib import list_models
from measure.io import LARGEST_LIMIT, USUAL_LIMIT, InputError, Layout

from ..runtime import MACHINE, NETWORK, RELEASED, MachineOptions, NetworkOptions, Options, option
from .inputs.finding import is_moving
from .outputs.suffixes import CONTOUR_SUFFIXES, VIDEO_SUFFIXES, check_video_name
from .outputs.thresholds import best_threshold
from .runtimes.names import RUNTIMES

__all__ = ["GROUPS", "LARGEST_SIDE", "WRITE_EVERY", "MapOptions", "PredictConfig"]

FILES, OUTPUTS, VIDEO, MAPS = "files", "what is written", "video", "maps"

WRITE_EVERY = 5  # frames: 0, 5, 10, ... of a clip are remembered, as released with SALI
LARGEST_SIDE = 8192  # pixels of a network's input

# the headings of --help, in their order
GROUPS = (FILES, OUTPUTS, MAPS, VIDEO, NETWORK, RELEASED, MACHINE)


@dataclass(frozen=True)
class MapOptions(Options):
    """From an image to its map and mask: what myTest.py and `Predictor` have in common.

    Raises:
        InputError: a value that cannot be used, or options that do not go together; the message names the flag.
    """

    threshold: float | None = option(
        None,
        "probability from which a pixel is polyp in masks, overlays, outlines and the table (default: 0.5)",
        group=MAPS,
        low=0,
        high=1,
        low_open=True,
        metavar="P",
    )
    threshold_from: str | None = option(
        None,
        "take the threshold with the best mean Dice from the scorer's scores.json of a validation set, of maps written "
        "and scored with --no-minmax",
        group=MAPS,
        metavar="FILE",
    )
    min_region: float | None = option(
        None,
        "leave regions of a smaller share of the image out of masks (default: none)",
        group=MAPS,
        low=0,
        high=1,
        low_open=True,
        metavar="SHARE",
    )
    crop_border: bool = option(
        False, "cut an endoscope's black border off before the network sees the image; maps are 0 there", group=MAPS
    )
    flips: bool = option(
        False, "average over the image and its three mirror images: four forwards, image networks only", group=MAPS
    )
    scales: tuple[float, ...] | None = option(
        None,
        "average over input sizes, multiples of the network's own, such as 0.75 1 1.25; image networks only",
        group=MAPS,
        low=0.25,
        high=4,
        nargs="+",
        metavar="S",
    )

    smoothing: float | None = option(
        None,
        "videos: mix each frame's map with those before it, moved as the image has moved; share of the earlier ones "
        "(default: none)",
        group=VIDEO,
        low=0,
        high=1,
        low_open=True,
        high_open=True,
        metavar="SHARE",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold is not None and self.threshold_from:
            raise InputError("--threshold and --threshold_from were given; keep one of them")
        if len(set(self.scales or ())) < len(self.scales or ()):
            raise InputError(f"--scales {' '.join(map(str, self.scales))} was given; name each scale once")

    @property
    def averages(self) -> bool:
        """Whether one network is asked more than once for an image."""
        return self.flips or len(self.scales or ()) > 1 or (self.scales or (1.0,)) != (1.0,)

    @property
    def cut_at(self) -> float:
        """The threshold, a probability.

        Raises:
            InputError: the file of scores that it is to be read from cannot be used.
        """
        if self.threshold_from:
            return best_threshold(self.threshold_from).threshold
        return 0.5 if self.threshold is None else self.threshold


@dataclass(frozen=True)
class PredictConfig(MachineOptions, NetworkOptions, MapOptions):
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
    model_state_dict_path: tuple[str, ...] | None = option(
        None,
        "weights, ours or published; of several files the probabilities are averaged (default: the starter weights "
        "that come with the project)",
        group=FILES,
        nargs="+",
        metavar="PATH",
    )
    input: tuple[str, ...] | None = option(
        None,
        "in place of test sets: images, folders with all below them, patterns in quotes or a list (.txt, one a line); "
        "or one video file or the number of a camera; video networks, and a video for --overlay, take one folder, "
        "pattern or list for frames, in its order",
        group=FILES,
        nargs="+",
        metavar="X",
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
    pred_save_path: str | None = option(
        None,
        "maps go to <pred_save_path>/<set>/<stem>.png; of several classes to <class>/, merged/ and labels/ in it "
        "(default: result, with --input only where nothing else is asked for)",
        group=OUTPUTS,
    )
    masks: str | None = option(
        None, "folder for the mask of every image or frame, PNG, 0 or 255", group=OUTPUTS, metavar="FOLDER"
    )
    overlay: str | None = option(
        None,
        "the input with the outline of what the network sees: a folder for images, or a video to write "
        f"({' '.join(VIDEO_SUFFIXES)}); frames of a folder become a video, too",
        group=OUTPUTS,
        metavar="PLACE",
    )
    contours: str | None = option(
        None,
        "file for outlines and boxes of all images: COCO's .json, or .geojson; in pixels",
        group=OUTPUTS,
        metavar="FILE",
    )
    table: str | None = option(
        None,
        "file with a line for every image: share of polyp, regions, boxes, greatest and mean probability; .csv",
        group=OUTPUTS,
        metavar="FILE",
    )
    uncertainty: str | None = option(
        None,
        "folder for maps of how far several weights or views disagree: 510 x the standard deviation, PNG",
        group=OUTPUTS,
        metavar="FOLDER",
    )
    heatmap: bool = option(
        False,
        "also draw probability and features over the images, with a bar of colors: "
        "heatmap/<set>/<stem>_probability.png, _features.png; where images have masks, say how much lies inside",
        group=OUTPUTS,
    )
    tint: bool = option(False, "color the overlay by the probability", group=OUTPUTS)
    test_size: int | None = option(
        None,
        "input height and width, pixels (default: as trained, else as the authors trained)",
        group=MAPS,
        low=1,
        high=LARGEST_SIDE,
    )
    runtime: str = option(
        "auto",
        "what runs the network on a CPU; auto: for videos OpenVINO where it is installed (float32, with --amp bf16 in "
        "bf16), else torch; an exported .onnx runs in any but torch, both of a video network in onnxruntime",
        group=MACHINE,
        choices=RUNTIMES,
    )
    cuda_graphs: bool = option(
        False,
        "CUDA: record the kernels of a forward once and start them all at once: quicker where starting them takes "
        "longer than computing",
        group=MACHINE,
    )
    batch_size: int = option(8, "images a forward, or clips side by side", group=MAPS, low=1, high=4096)
    minmax: bool | None = option(
        None,
        "stretch every map to full range, as published maps are; --no-minmax keeps calibrated probabilities "
        "(default: maps of test sets are stretched, videos and maps of several classes are not)",
        group=MAPS,
    )
    show_rate: bool = option(False, "write the frames a second into the overlay", group=VIDEO)
    frame_rate: float | None = option(
        None, "of the overlay, frames a second (default: the input's, else 25)", group=VIDEO, low=0.01, high=1000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if Path(self.images).is_absolute() or ".." in Path(self.images).parts:
            raise InputError(f"--images {self.images} was given; name a folder below the set's, as images/test")
        self._check_places()
        if self.input is None:
            self._refuse(
                "without --input", frame_rate=self.frame_rate, show_rate=self.show_rate, smoothing=self.smoothing
            )
            if self.draws_video:
                raise InputError(
                    f"--overlay was given without --input, and {self.overlay} is a video; name a folder for overlays "
                    "of images"
                )
        else:
            self._refuse("with --input", split=self.split)
            if is_moving(self.input):
                self._refuse_for_frames("with --input of a video")
                self._need_output_of_frames()
            elif not self.draws_video:
                self._refuse("with --input of still images", smoothing=self.smoothing)
        if not self.overlay:
            self._refuse("without --overlay", tint=self.tint, show_rate=self.show_rate, frame_rate=self.frame_rate)

    @property
    def draws_video(self) -> bool:
        """Whether the overlay is to be a video."""
        return bool(self.overlay) and Path(self.overlay).suffix.lower() in VIDEO_SUFFIXES

    @property
    def layout(self) -> Layout:
        """Where a set keeps its images."""
        return Layout(images=self.images, mask_suffix=self.mask_suffix or "")

    def check_for_frames(self) -> None:
        """Refuse what has no meaning where frames follow one another, in a video or from a camera.

        Raises:
            InputError: a flag that is for still images.
        """
        self._refuse_for_frames(f"with --input {' '.join(self.input or ())}, which is taken for frames of a video")
        self._need_output_of_frames()

    def _need_output_of_frames(self) -> None:
        """Refuse frames that nothing is made of, and an overlay of them that is no video."""
        if not (self.overlay or self.masks or self.pred_save_path):
            raise InputError("--input was given without --overlay FILE or --masks FOLDER; name at least one of them")
        if self.overlay:
            check_video_name(self.overlay)

    def _refuse_for_frames(self, where: str) -> None:
        self._refuse(
            where,
            heatmap=self.heatmap,
            contours=self.contours,
            table=self.table,
            uncertainty=self.uncertainty,
        )

    def _check_places(self) -> None:
        """Refuse places that are one and the same, or named like another kind of file."""
        named = ("pred_save_path", "overlay", "masks", "contours", "table", "uncertainty")
        given = [(name, getattr(self, name)) for name in named if getattr(self, name)]
        for number, (name, place) in enumerate(given):
            for other, other_place in given[:number]:
                if Path(place).resolve() == Path(other_place).resolve():
                    raise InputError(f"--{other} and --{name} are both {place}; they need two places")
        for name, suffixes in (("contours", CONTOUR_SUFFIXES), ("table", (".csv",))):
            place = getattr(self, name)
            if place and Path(place).suffix.lower() not in suffixes:
                raise InputError(f"--{name} {place} was given; end its name in {' or '.join(suffixes)}")

    def _refuse(self, where: str, **flags: object) -> None:
        """Refuse flags that have no meaning there."""
        for name, value in flags.items():
            if value not in (None, False):
                raise InputError(f"--{name} was given {where}, where it means nothing; leave one of them out")
