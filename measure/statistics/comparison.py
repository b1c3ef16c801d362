"""Several methods on the same images: which differences the data can tell from chance.

The comparison is one dictionary of plain Python values, written to `comparison.json`:

    metrics     the scores compared: the headline ones that are a mean over images (video: cases)
    units       {data set: {"kind": "images", "number": n}}     what is resampled and tested; where a method lacks
                images (video: cases), their number as "left_out": no pair is compared on them
    pairs       [{"a", "b", "dataset", "metric", "difference", "interval", "p", "p_holm", "wins", "losses", "units"}]
    ranks       {data set: {metric: {"agreement": tau, "methods": {method: {"rank", "interval", "first"}}}}}
    seeds       {data set: {metric: {"means", "deviations", "seed_share"}}}    of several seeds

`difference` is a minus b; `interval` is 95 % and null below ten units; `p` is the Wilcoxon signed-rank test's, `p_holm`
corrected for all pairs and metrics of the data set; `wins` and `losses` are the units on which a is better, and worse,
than b. `ranks` holds nothing of fewer than ten units. Methods named `<name>@<seed>` are seeds of one method.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from ..io import GroupOf
from .bootstrap import FEWEST_UNITS, Bootstrap
from .paired import holm, paired_test
from .ranking import bootstrap_ranks
from .seeds import seed_effect

__all__ = ["compare_methods", "told_apart"]

RANK_RESAMPLES = 1000
SEED_MARK = "@"
"""Between the name of a method and the seed it was trained from."""

Result = Mapping[str, Any]


def compare_methods(
    results: Sequence[Result],
    metrics: Mapping[str, bool],
    *,
    bootstrap: Bootstrap,
    group_of: GroupOf | None = None,
) -> dict[str, Any]:
    """Compare every pair of methods on every data set both have.

    Args:
        results: at least two, one per method, as in its `scores.json`, all of one protocol.
        metrics: the scores to compare, and whether higher is better; those that no image has are passed over.
        bootstrap: number of resamples and seed.
        group_of: the group of an image (video: of a case) that is resampled as a whole.
    """
    level = "per_case" if any(result.get("per_case") for result in results) else "per_image"
    names = dict.fromkeys(name for result in results for name in result.get(level, {}))
    kind = "groups" if group_of else "cases" if level == "per_case" else "images"
    comparison: dict[str, Any] = {"metrics": [], "units": {}, "pairs": [], "ranks": {}, "seeds": {}}
    for name in names:
        present = [result for result in results if result.get(level, {}).get(name)]
        pairs = []
        for metric, higher_is_better in metrics.items():
            stems, scores = _shared_scores([result[level][name] for result in present], metric)
            if len(present) < 2 or not stems:
                continue
            groups = [_unit(stem, group_of) for stem in stems]
            methods = [result["method"] for result in present]
            labels = {"dataset": name, "metric": metric}
            pairs += _pairs(methods, scores, groups, bootstrap, labels, higher_is_better=higher_is_better)
            if len(set(groups)) >= FEWEST_UNITS:
                comparison["ranks"].setdefault(name, {})[metric] = _ranks(
                    methods, scores, groups, higher_is_better, Bootstrap(RANK_RESAMPLES, bootstrap.seed)
                )
            if seeds := _seeds(methods, scores):
                comparison["seeds"].setdefault(name, {})[metric] = seeds
            units = {"kind": kind, "number": len(set(groups))}
            if left_out := len(set().union(*(result[level][name] for result in present))) - len(stems):
                units["left_out"] = left_out
            comparison["units"].setdefault(name, units)
        tested = [pair for pair in pairs if pair["p"] is not None]
        for pair, corrected in zip(tested, holm([pair["p"] for pair in tested]), strict=True):
            pair["p_holm"] = corrected
        comparison["pairs"] += pairs
    found = {pair["metric"] for pair in comparison["pairs"]}
    comparison["metrics"] = [metric for metric in metrics if metric in found]
    return comparison


def _shared_scores(units: Sequence[Mapping[str, Mapping[str, float]]], metric: str) -> tuple[list[str], np.ndarray]:
    """Images (cases) on which every method has the score, and the scores (N, M)."""
    rows = {
        stem: [scores[stem][metric] for scores in units]
        for stem in units[0]
        if all(math.isfinite(scores.get(stem, {}).get(metric, math.nan)) for scores in units)
    }
    return list(rows), np.array(list(rows.values()), float).reshape(-1, len(units))


def _unit(stem: str, group_of: GroupOf | None) -> str:
    group = group_of(stem) if group_of else None
    return stem if group is None else f"group {group}"


def _pairs(
    methods: Sequence[str],
    scores: np.ndarray,
    groups: Sequence[str],
    bootstrap: Bootstrap,
    labels: dict[str, str],
    *,
    higher_is_better: bool,
) -> list[dict[str, Any]]:
    found = []
    for a, b in combinations(range(len(methods)), 2):
        test = asdict(paired_test(scores[:, a] - scores[:, b], groups, bootstrap))
        test["interval"] = list(test["interval"]) if test["interval"] else None
        if not higher_is_better:  # the test counts where the first score is the greater one
            test["wins"], test["losses"] = test["losses"], test["wins"]
        found.append({"a": methods[a], "b": methods[b], **labels, **test, "p_holm": None})
    return found


def _ranks(
    methods: Sequence[str], scores: np.ndarray, groups: Sequence[str], higher_is_better: bool, bootstrap: Bootstrap
) -> dict[str, Any]:
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.stack([np.bincount(place, column, len(names)) for column in scores.T], axis=1)
    sizes = np.bincount(place, minlength=len(names))
    ranks = bootstrap_ranks(sums, sizes, higher_is_better=higher_is_better, bootstrap=bootstrap)
    columns = zip(methods, ranks.ranks.tolist(), ranks.intervals.tolist(), ranks.first.tolist(), strict=True)
    return {
        "agreement": ranks.agreement,
        "methods": {
            method: {"rank": rank, "interval": interval, "first": first} for method, rank, interval, first in columns
        },
    }


def _seeds(methods: Sequence[str], scores: np.ndarray) -> dict[str, Any] | None:
    """What seeds explain, where a method was run from several."""
    runs: dict[str, list[float]] = {}
    for method, mean in zip(methods, scores.mean(axis=0), strict=True):
        runs.setdefault(method.partition(SEED_MARK)[0], []).append(float(mean))
    return asdict(seed_effect(runs)) if any(len(values) > 1 for values in runs.values()) else None


def told_apart(comparison: Mapping[str, Any], method: str) -> dict[str, dict[str, list[str]]]:
    """The methods whose difference to `method` has an interval that leaves out 0, by data set and metric."""
    apart: dict[str, dict[str, list[str]]] = {}
    for pair in comparison["pairs"]:
        certain = pair["interval"] and not pair["interval"][0] <= 0 <= pair["interval"][1]
        if certain and method in (pair["a"], pair["b"]):
            other = pair["b"] if method == pair["a"] else pair["a"]
            apart.setdefault(pair["dataset"], {}).setdefault(pair["metric"], []).append(other)
    return apart
