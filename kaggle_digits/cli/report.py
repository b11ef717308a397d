"""``kaggle-digits report``: write finished runs and submissions as one HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.terminal_text import escape, escape_lines

if TYPE_CHECKING:
    from kaggle_digits.report import Written
    from kaggle_digits.runs import Run


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...", help="Folders of finished runs.  [default: all in runs/]"
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="HTML page to write; a .json file with the same facts is written beside it.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = Path("report.html"),
    submissions: Annotated[
        bool,
        typer.Option(
            "--submissions", help="Also list the submissions.", rich_help_panel=options.OUTPUT
        ),
    ] = False,
    input_: options.Input = Path("input"),
    json: options.Json = False,
) -> None:
    """Write runs as one HTML page with their images.

    The page needs no network. It shows scores, learning curves, confusion matrices with the images
    behind each cell, the worst and the disputed images, the weights of an ensemble, and how to
    repeat each run. The same facts go to a .json file beside it.

    The images are taken from --input, if that holds the data of the runs.
    """
    from kaggle_digits import report

    report.require_target(output)
    runs = _open_runs(folders or [])
    written = report.write_report(
        output,
        runs,
        data=input_,
        title="Runs and submissions" if submissions else "Runs",
        entries=printing.open_ledger().entries(),
        show_ledger=submissions,
        count_flop=True,
    )
    print_written(written, as_json=json)


def print_written(written: "Written", *, as_json: bool) -> None:
    """Print the path of the page, and what is missing from it."""
    if as_json:
        printing.print_json(
            {
                "html": str(written.html),
                "json": str(written.json),
                "bytes": written.bytes,
                "left_out": written.left_out,
            }
        )
        return
    print(escape(f"report    {written.html} ({written.bytes / 1e6:.1f} MB)"))
    print(escape(f"json      {written.json}"))
    for reason in written.left_out:
        print(escape_lines(f"omitted   {reason}"))


def _open_runs(folders: list[Path]) -> "list[Run]":
    """Return the runs in ``folders``, or all finished runs in runs/."""
    from kaggle_digits import runs
    from kaggle_digits.errors import InputError, KaggleDigitsError

    if folders:
        opened = [runs.Run(folder) for folder in dict.fromkeys(folders)]
        for run in opened:
            run.require_finished()
        return opened
    readable, damaged = runs.list_runs(options.RUNS)
    for damage in damaged:
        text = f"{damage.folder / damage.file} is damaged: {damage.reason}. The run is omitted."
        typer.echo(escape(text), err=True)
    finished = []
    for run in readable:
        if run.facts.state != "finished":
            continue
        try:
            run.arrays("test")
        except KaggleDigitsError as error:
            typer.echo(escape(f"{error} The run is omitted."), err=True)
        else:
            finished.append(run)
    if not finished:
        raise InputError(
            f"no finished run in {options.RUNS.absolute()}. Train one, for example with "
            f"`{options.program()} cv`, or give the folders of runs: {options.program()} report RUN"
        )
    return finished
