"""What was trained on what, for every study of `published_rows.csv`; the commands are made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["STUDIES", "Study"]


@dataclass(frozen=True)
class Study:
    """A training that published rows are of.

    Attributes:
        title: network and paper.
        train: folder to train on, below --data.
        tests: folder whose sets or splits are tested, below --data; "" where parts of `train` are.
        flags: of myTrain.py; the rest is the network's recipe.
        parts: how many images of `train` are trained on, chosen by and tested, where the paper splits one set.
        protocol: of measure.
        images: how many images (frames) a complete test set has, by row.
        prepare: what lays the data out, as names of `python -m utils prepare`: of `train`, then of `tests`.
        train_images: how many images (frames) a complete `train` has, where no parts are drawn of it.
        left_open: what the source does not say, or what is known to differ.
        mask_values: what of color masks is polyp.
    """

    title: str
    train: str
    tests: str
    flags: tuple[str, ...]
    images: dict[str, int]
    prepare: tuple[str, ...]
    train_images: int = 0
    left_open: str = ""
    parts: dict[str, int] = field(default_factory=dict)
    protocol: str = "image"
    mask_values: tuple[str, ...] = ()


FIVE_SETS = {"CVC-300": 60, "CVC-ClinicDB": 62, "Kvasir": 100, "CVC-ColonDB": 380, "ETIS-LaribPolypDB": 196}
# frames with the first and the last of every clip, which the protocol drops
SUN_SEG = {
    "TestEasyDataset/Seen": 4719,
    "TestEasyDataset/Unseen": 12351,
    "TestHardDataset/Seen": 3882,
    "TestHardDataset/Unseen": 8640,
}
OWN_SPLIT = "the split of the paper is not published; here it is drawn by seed 0"


def on_sun_seg(title: str, model: str, left_open: str = "") -> Study:
    return Study(
        title,
        train="SUN-SEG/TrainDataset",
        tests="SUN-SEG",
        flags=("--model", model),
        images=SUN_SEG,
        prepare=("sun-seg",),
        train_images=19544,
        protocol="vps",
        left_open=left_open,
    )


def on_parts(title: str, flags: tuple[str, ...], train: int, val: int, test: int, left_open: str = OWN_SPLIT) -> Study:
    return Study(
        title,
        train="Kvasir-SEG",
        tests="",
        flags=flags,
        images={"Kvasir-SEG": test},
        prepare=("kvasir-seg",),
        parts={"train": train, "val": val, "test": test},
        left_open=left_open,
    )


def scr_net(title: str, *flags: str) -> Study:
    return on_parts(f"SCR-Net{title}", ("--model", "scrnet", *flags), 700, 100, 200)


STUDIES: dict[str, Study] = {
    "sepnet": Study(
        "SEPNet on five sets of still images",
        train="TrainDataset",
        tests="TestDataset",
        flags=("--model", "sepnet", "--net_backbone", "pvt-v2-b2"),
        images=FIVE_SETS,
        prepare=("pranet-train", "pranet-test"),
        train_images=1450,
        left_open="the release's batch of 3 is a value for local tests; the paper's is not in it",
    ),
    "sepnet-sunseg": on_sun_seg(
        "SEPNet on SUN-SEG, frame by frame",
        "sepnet",
        "how it was trained there is not released: here as on still images",
    ),
    "scrnet": scr_net(""),
    "scrnet-no-srm": scr_net(" without SRM", "--no-net_srm"),
    "scrnet-no-scm": scr_net(" without SCM", "--no-net_scm"),
    "scrnet-baseline": scr_net(" without SCM and SRM", "--no-net_scm", "--no-net_srm"),
    "sali": on_sun_seg("SALI", "sali"),
    "lsinet": on_sun_seg("LSI-Net", "lsinet", "nothing but its README was released under this name"),
    # 880 and 120 are the data set's own split, of which the 120 choose and test alike in released code
    "convsegnet": on_parts(
        "ConvSegNet",
        ("--model", "convsegnet"),
        792,
        88,
        120,
        f"{OWN_SPLIT}: 120 tested as in the data set's own, a tenth of the others chooses the checkpoint",
    ),
    "convsegnet-bkai": Study(
        "ConvSegNet on BKAI-IGH",
        train="BKAI-IGH",
        tests="",
        flags=("--model", "convsegnet"),
        images={"BKAI-IGH": 100},
        prepare=("bkai",),
        parts={"train": 800, "val": 100, "test": 100},
        left_open=OWN_SPLIT,
        mask_values=("255,0,0", "0,255,0"),
    ),
    "dilatedsegnet": on_parts(
        "DilatedSegNet",
        ("--model", "dilatedsegnet"),
        792,
        88,
        120,
        f"{OWN_SPLIT}: 120 tested as in the data set's own, a tenth of the others chooses the checkpoint",
    ),
}
