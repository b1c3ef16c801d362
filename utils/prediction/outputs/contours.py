"""Outlines of regions as other tools read them: COCO's polygons and boxes, GeoJSON's polygons.

Outlines run along the edges of pixels, x to the right and y down from the image's upper left corner, so the area inside
is the number of pixels. COCO's polygons have no holes: a region with one is stored as run lengths, as COCO allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from .regions import Region

__all__ = ["ImageRegions", "coco", "geojson", "outlines", "run_lengths"]

CATEGORY = {"id": 1, "name": "polyp", "supercategory": "lesion"}
DIGITS = 5  # of probabilities in files


class ImageRegions(NamedTuple):
    """An image and the regions found in it.

    Attributes:
        name: as it was given, relative to the root of the results.
        size: height and width, pixels.
        regions: see `find_regions`.
    """

    name: str
    size: tuple[int, int]
    regions: Sequence[Region]


def outlines(mask: np.ndarray) -> list[list[np.ndarray]]:
    """Trace a mask along its pixels' edges.

    Args:
        mask: (H, W) bool.

    Returns:
        Polygons, each a list of rings (P, 2) int, x and y of corners, not closed: the outer one, clockwise as seen,
        then its holes. Pixels that touch at a corner alone are in polygons of their own.
    """
    rings = _rings(np.pad(mask, 1))
    outer = sorted((ring for ring in rings if _signed_area(ring) > 0), key=_signed_area)
    polygons = [[ring] for ring in outer]
    boxes = np.array([(*ring.min(axis=0), *ring.max(axis=0)) for ring in outer]).reshape(-1, 4)
    for hole in (ring for ring in rings if _signed_area(ring) < 0):
        encloses = (boxes[:, :2] <= hole.min(axis=0)).all(axis=1) & (boxes[:, 2:] >= hole.max(axis=0)).all(axis=1)
        smallest_first = np.flatnonzero(encloses)
        inside = [float(value) for value in hole[0]]
        place = next(p for p in smallest_first if cv2.pointPolygonTest(outer[p].astype(np.float32), inside, False) >= 0)
        polygons[place].append(hole)
    return polygons


def _rings(padded: np.ndarray) -> list[np.ndarray]:
    """Closed paths along the edges between True and False, with True on the right hand; `padded` has a False margin."""
    inner = padded[1:-1, 1:-1]
    sides = (  # where the neighbor is False there is an edge: its start and its direction, from the pixel's corner
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (0, 1)),
        (padded[2:, 1:-1], (1, 1), (-1, 0)),
        (padded[1:-1, :-2], (0, 1), (0, -1)),
    )
    leaving: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for neighbor, (x, y), direction in sides:
        rows, columns = np.nonzero(inner & ~neighbor)
        for start in zip((columns + x).tolist(), (rows + y).tolist(), strict=True):
            leaving.setdefault(start, []).append(direction)
    rings = []
    while leaving:
        start = point = next(iter(leaving))
        path, before = [], (0, 0)
        while True:
            ways = leaving[point]
            right = (-before[1], before[0])  # where two pixels touch at a corner, stay with the same one
            way = ways.pop(ways.index(right) if right in ways else 0)
            if not ways:
                del leaving[point]
            if way != before:
                path.append(point)
            point, before = (point[0] + way[0], point[1] + way[1]), way
            if point == start:
                break
        rings.append(np.array(path))
    return rings


def _signed_area(ring: np.ndarray) -> float:
    """The area inside a ring, negative where it runs counterclockwise as seen, pixels."""
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """COCO's uncompressed run lengths of an (H, W) mask: column by column, pixels outside first."""
    flat = np.concatenate(([0], mask.ravel(order="F").astype(np.int8), [0]))
    changes = np.flatnonzero(np.diff(flat))
    ends = np.concatenate(([0], changes, [mask.size]))
    counts = np.diff(ends).tolist()
    return {"counts": counts if counts[-1] else counts[:-1], "size": list(mask.shape)}


def coco(images: Sequence[ImageRegions]) -> dict[str, Any]:
    """Polygons and boxes as COCO keeps annotations; `score` is the mean probability of a region."""
    annotations = []
    for number, image in enumerate(images, start=1):
        for region in image.regions:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": CATEGORY["id"],
                    "segmentation": _coco_shape(region, image.size),
                    "area": region.area,
                    "bbox": list(region.box),
                    "iscrowd": 0,
                    "score": round(region.mean, DIGITS),
                }
            )
    listed = [
        {"id": number, "file_name": image.name, "height": image.size[0], "width": image.size[1]}
        for number, image in enumerate(images, start=1)
    ]
    return {"images": listed, "categories": [CATEGORY], "annotations": annotations}


def _coco_shape(region: Region, size: tuple[int, int]) -> list[list[int]] | dict[str, Any]:
    x, y, width, height = region.box
    polygons = outlines(region.mask)
    if any(len(rings) > 1 for rings in polygons):
        whole = np.zeros(size, bool)
        whole[y : y + height, x : x + width] = region.mask
        return run_lengths(whole)
    return [(rings[0] + (x, y)).ravel().tolist() for rings in polygons]


def geojson(images: Sequence[ImageRegions]) -> dict[str, Any]:
    """A feature for every region, with its image's name; coordinates are pixels, as QuPath has them."""
    features = []
    for image in images:
        for region in image.regions:
            polygons = [
                [np.vstack((ring, ring[:1])) + region.box[:2] for ring in rings] for rings in outlines(region.mask)
            ]
            coordinates = [[ring.tolist() for ring in rings] for rings in polygons]
            single = len(coordinates) == 1
            features.append(
                {
                    "type": "Feature",
                    "geometry": {
                        "type": "Polygon" if single else "MultiPolygon",
                        "coordinates": coordinates[0] if single else coordinates,
                    },
                    "properties": {
                        "image": image.name,
                        "area": region.area,
                        "mean_probability": round(region.mean, DIGITS),
                        "greatest_probability": round(region.greatest, DIGITS),
                    },
                }
            )
    return {"type": "FeatureCollection", "features": features}
