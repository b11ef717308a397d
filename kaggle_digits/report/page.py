"""Write finished runs as an HTML page and as JSON, with the same bytes each time."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits import __version__, datasets, files, submissions
from kaggle_digits.errors import InputError
from kaggle_digits.kaggle_client import score_bounds
from kaggle_digits.report import curves, group_facts, run_facts, sheet
from kaggle_digits.report.group_facts import Disputes, Ensemble
from kaggle_digits.report.run_facts import Answer, RunFacts
from kaggle_digits.report.sheet import Key, Sheet
from kaggle_digits.terminal_text import add_prefix
from kaggle_digits.training import run_images

if TYPE_CHECKING:
    from kaggle_digits.datasets.dataset import Splits
    from kaggle_digits.kaggle_client.ledger import Entry
    from kaggle_digits.runs import Run

TWIN_START = b'{\n  "version"'  # of the JSON beside the page
MIN_COMPARED = 2  # runs or files needed for a comparison


@dataclass(frozen=True)
class Report:
    """Everything that a report shows. The JSON file has the same content as the page.

    Attributes:
        version: version of kaggle-digits.
        runs: the runs in the given order.
        answers: for each run, the predictions of all runs on the same data for its worst images,
            by the image's id.
        ensembles: one ensemble per group of runs on the same images.
        disputes: the disagreements of runs or files.
        ledger: the submissions, the best first; None if they are not shown.
        left_out: what could not be shown, each with the reason.

    """

    version: str
    runs: tuple[RunFacts, ...]
    answers: tuple[dict[int, tuple[Answer, ...]], ...]
    ensembles: tuple[Ensemble, ...]
    disputes: tuple[Disputes, ...]
    ledger: tuple[dict[str, Any], ...] | None
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """The files that were written.

    Attributes:
        html: path of the page.
        json: path of the JSON file with the same content.
        bytes: size of the page in bytes.
        left_out: what could not be shown, each with the reason.

    """

    html: Path
    json: Path
    bytes: int
    left_out: tuple[str, ...]


def require_target(path: Path) -> None:
    """Raise InputError unless ``path`` ends in .html and only web pages would be replaced."""
    if path.suffix.lower() != ".html":
        raise InputError(f"received {path} for a page. Expected a name that ends in .html.")
    files.require_replaceable(path, "a web page", b"<!DOCTYPE html>")
    files.require_replaceable(path.with_suffix(".json"), "a report's JSON", TWIN_START)


def write_report(
    path: Path,
    runs: "Sequence[Run]",
    *,
    data: Path,
    title: str,
    entries: "Sequence[Entry]" = (),
    show_ledger: bool = False,
    compared: Sequence[tuple[str, Path]] | None = None,
    count_flop: bool = False,
) -> Written:
    """Write the page and, beside it, the same facts as ``.json``.

    Args:
        path: path of the page, ending in .html.
        runs: finished runs.
        data: the folder with the images; without data the page has no images.
        title: title of the page.
        entries: entries of the ledger of submissions.
        show_ledger: whether the page lists the submissions.
        compared: names and paths of the CSVs to compare; None for those of the runs.
        count_flop: whether to count the FLOP of each run's training, which starts Keras.

    Raises:
        InputError: a run is not finished, a CSV cannot be read, or the page cannot be written.

    """
    require_target(path)
    splits, left_out = _load(data)
    report = _gather(
        runs,
        splits,
        entries,
        show_ledger=show_ledger,
        compared=compared,
        count_flop=count_flop,
        left_out=left_out,
    )
    page = _render(report, title, _draw_images(report, splits))
    twin = path.with_suffix(".json")
    with files.replacing_together(path, twin) as (new_page, new_twin):
        new_page.write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")
        text = files.json_text(_drop_nan(asdict(report)), indent=2)
        new_twin.write_text(text + "\n", encoding="utf-8", newline="\n")
    reasons = [
        *report.left_out,
        *(f"{run.run}: {why}" for run in report.runs for why in run.left_out),
    ]
    return Written(path, twin, len(page.encode("utf-8", "backslashreplace")), tuple(reasons))


def _load(data: Path) -> "tuple[Splits | None, list[str]]":
    try:
        return datasets.load(data), []
    except InputError as error:
        return None, [f"No images are shown: {error}"]


def _gather(
    runs: "Sequence[Run]",
    splits: "Splits | None",
    entries: "Sequence[Entry]",
    *,
    show_ledger: bool,
    compared: Sequence[tuple[str, Path]] | None,
    count_flop: bool,
    left_out: list[str],
) -> Report:
    gathered = tuple(
        run_facts.gather_run(run, splits, entries, count_flop=count_flop) for run in runs
    )
    with_images = {facts.run for facts in gathered if facts.has_images}
    groups = group_facts.group_runs(runs)
    ensembles: list[Ensemble] = []
    disputes: list[Disputes] = []
    for group in groups:
        if len(group) < MIN_COMPARED:
            continue
        judged = [run for run in group if run.has("oof.npz")]
        if len(judged) >= MIN_COMPARED:
            ensembles += filter(None, [group_facts.blend_runs(judged)])
            has_images = with_images >= {str(run.folder) for run in judged}
            held_out = group_facts.compare_held_out(judged, has_images=has_images)
            disputes += filter(None, [held_out])
        if compared is None:
            named = [(str(run.folder), run.submission) for run in group]
            disputes.append(_compare_on_test_images(named, group, splits, left_out))
    if compared is not None and len(compared) >= MIN_COMPARED:
        disputes.append(_compare_on_test_images(compared, runs, splits, left_out))
    ledger = _describe_ledger(entries) if show_ledger else None
    answers = tuple(
        run_facts.find_answers(
            next(group for group in groups if run in group),
            [image.id for image in facts.held_out.worst] if facts.held_out else [],
        )
        for run, facts in zip(runs, gathered, strict=True)
    )
    return Report(
        __version__, gathered, answers, tuple(ensembles), tuple(disputes), ledger, tuple(left_out)
    )


def _compare_on_test_images(
    named: Sequence[tuple[str, Path]],
    runs: "Sequence[Run]",
    splits: "Splits | None",
    left_out: list[str],
) -> Disputes:
    """Compare CSVs; add a reason to ``left_out`` if ``splits`` do not have their test images.

    Args:
        named: names and paths of the CSVs.
        runs: the runs among them.
        splits: the data, if there is any.
        left_out: what could not be shown.

    """
    has_images = splits is not None
    if splits is not None:
        try:
            _require_test_images(named[0], runs, splits)
        except InputError as error:
            has_images = False
            names = ", ".join(name for name, _ in named)
            left_out.append(f"The test images on which {names} differ are not shown: {error}")
    return group_facts.compare_files(named, _find_class_names(runs), has_images=has_images)


def _require_test_images(named: tuple[str, Path], runs: "Sequence[Run]", splits: "Splits") -> None:
    """Raise InputError unless ``runs`` predict these test images and a CSV has their ids."""
    for run in runs:
        run_images.select_run_images(run, splits, "test")
    name, csv = named
    submissions.check(submissions.read(csv), splits.test.ids, name=name, source="the test images")


def _find_class_names(runs: "Sequence[Run]") -> tuple[str, ...]:
    """Return the class names that all runs have; digits if there are no such names."""
    found = {run.class_names for run in runs}
    return found.pop() if len(found) == 1 else tuple("0123456789")


def _describe_ledger(entries: "Sequence[Entry]") -> tuple[dict[str, Any], ...]:
    """Return the submissions, the best first, with the number of errors of each score."""
    ordered = sorted(
        entries,
        key=lambda entry: (entry.public_score is None, -(entry.public_score or 0.0), entry.time),
    )
    return tuple(
        entry.to_json()
        | {
            "gap": entry.gap,
            "errors": None
            if entry.public_score is None
            else score_bounds.count_errors(entry.public_score, score_bounds.ROWS),
        }
        for entry in ordered
    )


def _draw_images(report: Report, splits: "Splits | None") -> Sheet:
    """Return the images that the page shows, for runs whose data is available."""
    if splits is None:
        return Sheet({}, 0, "")
    wanted: list[Key] = []
    shown = [run for run in report.runs if run.has_images and run.held_out]
    for disputes in report.disputes:
        if disputes.has_images:
            wanted += [(disputes.split, image.id) for image in disputes.shown]
    for run in shown:
        if run.held_out:
            wanted += [("train", image.id) for image in run.held_out.worst]
    ranked = [
        (cell.label == cell.predicted, rank, image.id)
        for run in shown
        if run.held_out
        for cell in run.held_out.cells
        for rank, image in enumerate(cell.images)
    ]
    wanted += [("train", image_id) for *_, image_id in sorted(ranked)]
    return sheet.draw_sheet(wanted, {"train": splits.train, "test": splits.test})


def _render(report: Report, title: str, images: Sheet) -> str:
    """Render the page; all values are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("kaggle_digits.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _format_number, "score": _format_score, "flop": add_prefix}
    page = environment.get_template("report.html").render(
        report=report,
        title=title,
        panels=[curves.draw_curves(run.histories) if run.histories else () for run in report.runs],
        size=(curves.WIDTH, curves.HEIGHT, curves.LEFT, curves.BOTTOM),
        sheet=images,
        columns=sheet.COLUMNS,
        cells=[_list_cells(run, images) for run in report.runs],
        numbers={run.run: number for number, run in enumerate(report.runs, start=1)},
        shares=[_colour_cells(run) for run in report.runs],
    )
    return page + "\n"


def _list_cells(run: RunFacts, images: Sheet) -> dict[str, Any]:
    """Return the data from which the page's script shows the images behind each cell."""
    if run.held_out is None:
        return {"run": run.run, "names": list(run.class_names), "cells": {}}
    cells = {
        f"{cell.label}-{cell.predicted}": {
            "count": cell.count,
            "images": [
                [
                    image.id,
                    images.places.get(("train", image.id), -1) if run.has_images else -1,
                    image.probability_of_label,
                ]
                for image in cell.images
            ],
        }
        for cell in run.held_out.cells
    }
    return {"run": run.run, "names": list(run.class_names), "cells": cells}


def _colour_cells(run: RunFacts) -> dict[str, float]:
    """Return the colour intensity of each cell of the confusion matrix (0-1); 0 on the diagonal."""
    cells = run.held_out.cells if run.held_out else ()
    most = max((cell.count for cell in cells if cell.label != cell.predicted), default=1)
    return {
        f"{cell.label}-{cell.predicted}": 0.0
        if cell.label == cell.predicted
        else round(cell.count / most, 3)
        for cell in cells
    }


def _format_number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _format_score(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.5f}"


def _drop_nan(value: Any) -> Any:
    """Return ``value`` with None for NaN, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _drop_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_drop_nan(inner) for inner in value]
    return value
