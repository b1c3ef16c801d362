"""How many images published data sets have, and how their files are named: what a complete download holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from measure.io import TRAINING_SPLIT

__all__ = ["SUN_SEG", "Count", "compare_counts"]

# SUN-SEG's splits (Ji et al., 2022): clips and frames with a polyp; 285 and 49,136 in all
SUN_SEG: dict[str, tuple[int, int]] = {
    TRAINING_SPLIT: (112, 19544),
    "TestEasyDataset/Seen": (33, 4719),
    "TestEasyDataset/Unseen": (86, 12351),
    "TestHardDataset/Seen": (17, 3882),
    "TestHardDataset/Unseen": (37, 8640),
}

# the test sets that papers compare on, as released with PraNet (Fan et al., 2020), by their folders' names
TEST_SETS: dict[str, int] = {
    "CVC-300": 60,
    "CVC-ClinicDB": 62,
    "CVC-ColonDB": 380,
    "ETIS-LaribPolypDB": 196,
    "Kvasir": 100,
}

# whole sets, by their folders' names
WHOLE_SETS: dict[str, int] = {"Kvasir-SEG": 1000, "kvasir-seg": 1000, "CVC-ClinicDB": 612}

KVASIR_NAME = re.compile(r"c[jk][a-z0-9]{23}")  # the names that Kvasir-SEG's makers gave
CLINICDB_NAME = re.compile(r"[1-9]\d{0,2}")  # 1 to 612
TRAINING_POOL: dict[str, tuple[re.Pattern[str], int]] = {
    "Kvasir, training": (KVASIR_NAME, 900),
    "CVC-ClinicDB, training": (CLINICDB_NAME, 550),
}


@dataclass(frozen=True)
class Count:
    """A published set beside what was found of it.

    Attributes:
        name: of the set.
        found: images (frames), or "clips, frames".
        published: the numbers that its makers give, several where the name stands for several sets.
        agrees: whether the found number is one of them.
    """

    name: str
    found: str
    published: str
    agrees: bool


def compare_counts(parts: Mapping[str, Iterable[str]], clips: Mapping[str, int]) -> list[Count]:
    """Compare the parts that have the name of a published set with what was published.

    Args:
        parts: the stems of the images of every part, by its name.
        clips: how many clips a part has, by its name; parts of stills are not in it.
    """
    counts = []
    pool: list[str] = []  # stems of the parts that are no test set: training, and what is held out of it
    for name, found in parts.items():
        stems = list(found)
        if name in clips:
            counts += _clip_count(name, clips[name], len(stems))
            continue
        published = [known[name] for known in (TEST_SETS, WHOLE_SETS) if name in known]
        if published:
            counts.append(_count(name, len(stems), published))
        else:
            pool += stems
    found_of = {name: sum(bool(form.fullmatch(stem)) for stem in pool) for name, (form, _) in TRAINING_POOL.items()}
    if all(found_of.values()):  # both kinds of names: the training pool of this field's papers
        counts += [_count(name, found, [TRAINING_POOL[name][1]]) for name, found in found_of.items()]
    return counts


def _count(name: str, found: int, published: list[int]) -> Count:
    return Count(name, str(found), " or ".join(map(str, published)), found in published)


def _clip_count(name: str, clips: int, frames: int) -> list[Count]:
    """The count of a split of SUN-SEG; nothing of other clips."""
    published = [numbers for split, numbers in SUN_SEG.items() if f"/{name}".endswith(f"/{split}")]
    return [
        Count(name, f"{clips} clips, {frames} frames", f"{known[0]} clips, {known[1]} frames", (clips, frames) == known)
        for known in published
    ]
