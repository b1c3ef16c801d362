"""The published data sets that `prepare` knows: where their downloads are, how they are laid out, how many images.

The layouts are those of the downloads as their makers and common mirrors pack them. What could not be compared with a
download when this was written says so at its entry; a download that is laid out otherwise is refused, never guessed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measure.io import InputError

from .annotations import find_coco, find_labelme
from .finders import Form, find_boxed_clips, find_paired, find_polypgen
from .samples import Sample
from .sun_seg import find_sun_seg

__all__ = ["ANNOTATION_TOOLS", "SOURCES", "Finder", "Source", "source_of"]

Finder = Callable[[Sequence[Path]], list[Sample]]
"""Finds the samples of a data set in unpacked folders."""

PLAIN = (Form("images", "masks"), Form("image", "mask"))


@dataclass(frozen=True)
class Source:
    """A data set and its download.

    Attributes:
        title: its name in papers, with its origin.
        where: where the download is, and what has to be done for it.
        find: finds its samples in unpacked folders.
        images: how many samples the download holds; several where it comes in several forms, none where that is not
            known.
        note: what a reader must know of the masks or of other sets.
    """

    title: str
    where: str
    find: Finder
    images: tuple[int, ...] = ()
    note: str = ""


def paired(folder: str, *forms: Form, within: str = "") -> Finder:
    return partial(find_paired, forms=forms or PLAIN, folder=folder, within=within)


SIMULA = "research and education; cite the paper"

SOURCES: dict[str, Source] = {
    "kvasir-seg": Source(
        "Kvasir-SEG (Jha et al., MMM 2020)",
        f"https://datasets.simula.no/kvasir-seg/, kvasir-seg.zip; {SIMULA}",
        paired("Kvasir-SEG"),
        (1000,),
        "900 of these are in PraNet's training set and 100 in its test set",
    ),
    "kvasir-sessile": Source(
        "Kvasir-Sessile, the sessile part of Kvasir-SEG (Jha et al., JBHI 2021)",
        f"https://datasets.simula.no/kvasir-seg/, kvasir-sessile.zip; {SIMULA}",
        paired("Kvasir-Sessile"),
        (196,),
        "all of them are images of Kvasir-SEG: never train on one and test on the other",
    ),
    "clinicdb": Source(
        "CVC-ClinicDB (Bernal et al., CMIG 2015)",
        "https://polyp.grand-challenge.org/CVCClinicDB/; the page asks for the purpose, and links the archive (a .rar: "
        "unpack it and give the folder)",
        paired("CVC-ClinicDB", Form("PNG/Original", "PNG/Ground Truth"), Form("Original", "Ground Truth"), *PLAIN),
        (612,),
        "the numbers run along 29 sequences; python -m utils sequences makes clips of them",
    ),
    # the original's flat form (pN beside N, 300 images) is from its description; the 380 images are PraNet's choice
    "colondb": Source(
        "CVC-ColonDB (Tajbakhsh et al., TMI 2016; Bernal et al., PR 2012)",
        "http://mv.cvc.uab.es/projects/colon-qa/cvccolondb, by form; where the page is down, the 380 images that "
        "papers test on are in PraNet's test sets (pranet-test)",
        paired("CVC-ColonDB", *PLAIN, Form("CVC-ColonDB", "CVC-ColonDB", before="p")),
        (380, 300),
    ),
    "etis": Source(
        "ETIS-LaribPolypDB (Silva et al., IJCARS 2014)",
        "https://polyp.grand-challenge.org/EtisLarib/; the page asks for a registration",
        paired(
            "ETIS-LaribPolypDB",
            *PLAIN,
            Form("ETIS-LaribPolypDB", "Ground Truth", before="p"),
            Form("ETIS-LaribPolypDB", "GroundTruth", before="p"),
        ),
        (196,),
    ),
    "endoscene": Source(
        "CVC-EndoSceneStill: CVC-300 and CVC-612 (Vazquez et al., JHE 2017)",
        "http://www.cvc.uab.es/CVC-Colon/index.php/databases/cvc-endoscenestill/, by form",
        paired("EndoScene-{parent}", Form("bbdd", "gtpolyp")),
        (912,),
        "CVC-612 is CVC-ClinicDB; the CVC-300 that papers test on is 60 of these 300 images (pranet-test)",
    ),
    "bkai": Source(
        "BKAI-IGH NeoPolyp (Ngoc Lan et al., ISVC 2021)",
        "https://www.kaggle.com/c/bkai-igh-neopolyp/data; needs a Kaggle account that accepts the rules",
        paired("BKAI-IGH", Form("train/train", "train_gt/train_gt"), Form("train", "train_gt")),
        (1000,),
        "masks keep their colors, near 255 and not at it: --classes neoplastic=255,0,0 non-neoplastic=0,255,0, or all "
        "polyps with --mask_values 255,0,0 0,255,0; the 200 test images have no masks",
    ),
    # sequences: names of folders from the paper's description, compared with no download
    "polypgen": Source(
        "PolypGen (Ali et al., Scientific Data 2023)",
        "https://www.synapse.org/#!Synapse:syn26376615; needs a Synapse account",
        find_polypgen,
        (),
        "frames go by center to PolypGen/, sequences to PolypGen-sequences/, those without polyps with black masks",
    ),
    "polypdb": Source(
        "PolypDB (Jha et al., 2024)",
        "https://github.com/DebeshJha/PolypDB links the archive",
        paired("PolypDB/{parent}", *PLAIN, within="PolypDB_modality_wise"),
        (3934,),
        "by imaging modality; the same images by center are left alone",
    ),
    "hyperkvasir": Source(
        "HyperKvasir, segmented part (Borgli et al., Scientific Data 2020)",
        f"https://datasets.simula.no/hyper-kvasir/, hyper-kvasir-segmented-images.zip; {SIMULA}",
        paired("HyperKvasir-segmented"),
        (1000,),
        "these are Kvasir-SEG's images: never train on one and test on the other",
    ),
    # from its description; compared with no download
    "ldpolypvideo": Source(
        "LDPolypVideo (Ma et al., MICCAI 2021)",
        "https://github.com/dashishi/LDPolypVideo-Benchmark; the authors give the archives' password by mail",
        find_boxed_clips,
        (),
        "its annotations are boxes: masks are filled boxes, whose scores compare with no others",
    ),
    "sun-seg": Source(
        "SUN-SEG (Ji et al., MIR 2022) on the SUN database (Misawa et al., GIE 2021)",
        "frames: http://sundatabase.org/, by form; masks: https://github.com/GewelsJI/VPS (docs/DATA_PREPARATION.md)",
        find_sun_seg,
        (49136,),
        "give both downloads: --from SUN SUN-SEG-Annotation; python -m utils sunseg does the same with flags for each",
    ),
    "pranet-train": Source(
        "the training set of PraNet and its followers (Fan et al., MICCAI 2020): 900 of Kvasir-SEG, 550 of ClinicDB",
        "https://drive.google.com/file/d/1YiGHLw4iTvKdvbT6MgwO9zcCv8zJ_Bnb/view, TrainDataset.zip",
        paired("TrainDataset", Form("TrainDataset/image", "TrainDataset/mask"), *PLAIN),
        (1450,),
    ),
    "pranet-test": Source(
        "the five test sets of PraNet and its followers (Fan et al., MICCAI 2020)",
        "https://drive.google.com/file/d/1Y2z7FD5p5y31vkZwQQomXFRB0HutHyao/view, TestDataset.zip",
        paired("TestDataset/{parent}", *PLAIN),
        (798,),
    ),
}

ANNOTATION_TOOLS: dict[str, Callable[..., list[Sample]]] = {"coco": find_coco, "labelme": find_labelme}
"""Names that stand for the form of anybody's annotations; --name says what the set is called."""


def source_of(name: str) -> Source:
    """The entry of a name.

    Raises:
        InputError: there is none.
    """
    if name not in SOURCES:
        near = difflib.get_close_matches(name.lower(), SOURCES, n=1)
        advice = f"did you mean {near[0]}?" if near else f"known are {', '.join([*SOURCES, *ANNOTATION_TOOLS])}"
        raise InputError(f"unknown data set {name}: {advice}")
    return SOURCES[name]
