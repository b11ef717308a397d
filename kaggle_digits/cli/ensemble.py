"""``kaggle-digits ensemble``: average several runs into one submission."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.terminal_text import escape

if TYPE_CHECKING:
    from kaggle_digits.blending import Blend


def command(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN…", help="Folders of finished runs.")
    ],
    submission: Annotated[
        Path | None,
        typer.Option(
            "--submission",
            metavar="CSV",
            help="File to write, with ImageId,Label. Required.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help="mean, geometric, vote, or hill-climb, which calibrates each run and chooses "
            "weights by out-of-fold log loss.",
        ),
    ] = "mean",
    json: options.Json = False,
) -> None:
    """Average the probabilities of runs into one CSV."""
    from kaggle_digits import blending, submissions
    from kaggle_digits.evaluation import ensembling

    submission = _require_runs_and_target(folders, submission)
    ensembling.require_method(method)
    submissions.require_target(submission)
    blend = blending.ensemble(folders, method)
    blend.write_submission(submission)
    report(blend, submission, as_json=json)


def _require_runs_and_target(folders: list[Path], submission: Path | None) -> Path:
    """Return the CSV to write; suggest `compare --vote` for CSVs, which hold no probabilities."""
    from kaggle_digits.errors import InputError

    if csv := next((path for path in folders if path.is_file() or path.suffix == ".csv"), None):
        target = submission or options.SUBMISSIONS / "vote.csv"
        vote = [options.program(), "compare", *map(str, folders), "--vote", str(target)]
        raise InputError(
            f"received {csv}. Expected folders of runs, whose probabilities are averaged. For the "
            f"labels that most CSVs give:\n  {shlex.join(vote)}"
        )
    if submission is None:
        raise InputError(
            "received no --submission. Expected the CSV to write, such as --submission "
            f"{options.SUBMISSIONS / 'ensemble.csv'}."
        )
    return submission


def report(blend: "Blend", csv: Path, *, as_json: bool) -> None:
    """Print the scores of each member and of the blend, and the path of the CSV."""
    from kaggle_digits.runs import Run

    folders = [str(run.folder) for run in blend.runs]
    opened = [Run(run.folder) for run in blend.runs]
    leaks = [run.test_images_in_train for run in opened]
    judged = None if blend.scores is None else asdict(blend.scores)
    members: list[dict[str, Any] | None] = [asdict(scores) for scores in blend.member_scores]
    members = members or [None] * len(folders)
    if as_json:
        judged_members = [
            {
                "run": folder,
                "weight": share,
                "temperature": temperature,
                "oof": member,
                "test_images_in_train": leaked,
            }
            for folder, share, temperature, member, leaked in zip(
                folders, blend.weights, blend.temperatures, members, leaks, strict=True
            )
        ]
        printing.print_json(
            {
                "members": judged_members,
                "blend": judged,
                "test": blend.test_scores and asdict(blend.test_scores),
                "submission": str(csv),
            }
        )
        return
    _print_table(
        [
            *zip(folders, blend.weights, members, strict=True),
            (f"= {blend.method}", None, judged),
        ]
    )
    for line in _remarks(blend):
        print(line)
    for folder, leaked in zip(folders, leaks, strict=True):
        if leaked:
            print(f"Trained on {leaked:,} of the test images: {escape(folder)}")
    if blend.test_scores:
        print(f"Test         {printing.describe_scores(blend.test_scores)}")
    print(f"Submission   {escape(str(csv))} ({len(blend.test.ids):,} rows)")
    if any(run.facts.settings.source == "sample" for run in opened):
        print(printing.FROM_SAMPLE)


def _remarks(blend: "Blend") -> Iterator[str]:
    if blend.scores is None:
        yield "No image was held out by all runs, so the blend has no out-of-fold accuracy."
        return
    yield (
        f"Scored on the {blend.scores.images:,} images that all runs held out. Standard error of "
        f"the blend's accuracy: {blend.scores.standard_error:.5f}"
    )
    if blend.method == "hill-climb":
        temperatures = ", ".join(f"{temperature:.2f}" for temperature in blend.temperatures)
        yield f"Temperatures that calibrate the members: {temperatures}"
        yield (
            "The weights were chosen on the same images, so the blend's scores are slightly too "
            "good."
        )
    best = min(judged.errors for judged in blend.member_scores)
    if blend.scores.errors > best:
        yield (
            f"Worse than its best member, which has {best:,} errors. Omit weak members or try "
            "another --method. hill-climb minimises log loss; Kaggle scores accuracy."
        )


def _print_table(rows: list[tuple[str, float | None, dict[str, Any] | None]]) -> None:
    """Print the name, the weight and the out-of-fold scores of each row; missing ones are blank."""
    from rich.table import Table

    table = Table("run", "weight", "accuracy", "log loss", "errors", box=None, pad_edge=False)
    for name, share, judged in rows:
        figures = ("", "", "")
        if judged:
            figures = (
                f"{judged['accuracy']:.5f}",
                f"{judged['log_loss']:.5f}",
                f"{judged['errors']:,}",
            )
        table.add_row(escape(name), "" if share is None else f"{share:.3f}", *figures)
    printing.console().print(table)
