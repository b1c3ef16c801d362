"""Figures, contact sheets and the page of a scoring run; matplotlib is imported only where figures are drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..io import InputError, make_folder, write_text
from ..options import Options
from .certainty import Comparison
from .html_page import ReportImage, RowPictures, report_page
from .sanity import cautions
from .tables import Result

__all__ = ["remove_figures", "write_reports"]

FIGURE_NAME = re.compile(
    r"((curves|cases|differences|ranks|contact_sheet)_.*|(free_response|reliability|dice_by_size)(-\d+)?)\.png"
)


def write_reports(
    results: Sequence[Result],
    out: str | Path,
    *,
    gt_root: str | Path,
    pred_roots: Sequence[str | Path],
    image_root: str | Path | None = None,
    plots: bool = True,
    comparison: Comparison | None = None,
) -> list[Path]:
    """Write the figures (PNG and PDF), a contact sheet per method, and `report.html` with all of it.

    Args:
        results: one dictionary per method, as in its `scores.json`, all of one protocol.
        out: a folder, created where missing.
        gt_root: the ground truth the maps were scored against; its images, where it has some, are shown too.
        pred_roots: the maps of each method, in the order of `results`.
        image_root: where the images are, if not beside the masks: `<image_root>/<dataset>/images/`,
            `<image_root>/<dataset>/` or for video `<image_root>/<split>/Frame/<case>/`.
        plots: False leaves out figures and contact sheets; the page then holds the tables alone.
        comparison: of the methods, as in `comparison.json`.

    Raises:
        InputError: figures are asked for and matplotlib is not installed.
    """
    out = make_folder(out)
    pictures, of_rows = _draw(results, out, Path(gt_root), pred_roots, image_root, comparison) if plots else ([], {})
    page = report_page(results, pictures, cautions(results), comparison, of_rows)
    return [*(picture.path for picture in pictures), write_text(page, out / "report.html")]


def _draw(
    results: Sequence[Result],
    out: Path,
    gt_root: Path,
    pred_roots: Sequence[str | Path],
    image_root: str | Path | None,
    comparison: Comparison | None,
) -> tuple[list[ReportImage], RowPictures]:
    """Draw every figure, and the pictures that rows of the page open."""
    try:
        from .figures.contact_sheet import Sources, draw_contact_sheets, row_pictures
        from .figures.plots import draw_plots
    except ModuleNotFoundError as error:
        raise InputError(
            f"figures need {error.name}, which is not installed; run pip install {error.name} or leave the plots out"
        ) from error
    images = Path(image_root) if image_root else None
    options = Options.from_record(results[0].get("options", {}) | {"protocol": results[0]["protocol"]}, partial=True)
    sources = [Sources(options, gt_root, Path(root), images) for root in pred_roots]
    of_rows = {
        (result["method"], *names): picture
        for result, source in zip(results, sources, strict=True)
        for names, picture in row_pictures(result, source).items()
    }
    return [*draw_plots(results, out, comparison), *draw_contact_sheets(results, sources, out)], of_rows


def remove_figures(folder: Path) -> None:
    """Remove the figures of an earlier run, which `write_reports` may not draw again: every PNG with its PDF beside."""
    for picture in folder.glob("*.png"):
        if FIGURE_NAME.fullmatch(picture.name) and picture.with_suffix(".pdf").is_file():
            picture.unlink(missing_ok=True)
            picture.with_suffix(".pdf").unlink(missing_ok=True)
