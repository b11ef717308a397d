"""``kaggle-digits runs``: list the runs in a folder."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.terminal_text import escape


def command(
    folder: Annotated[
        Path,
        typer.Option(
            "--folder",
            metavar="DIR",
            help="Folder with the runs.",
            rich_help_panel=options.DATA,
        ),
    ] = options.RUNS,
    json: options.Json = False,
) -> None:
    """List the runs, with their scores and times."""
    from kaggle_digits import runs
    from kaggle_digits.errors import InputError
    from kaggle_digits.kaggle_client.ledger import find_best_score

    if folder.exists() and not folder.is_dir():
        raise InputError(f"--folder {folder} is a file. Expected the folder that holds the runs.")
    readable, damaged = runs.list_runs(folder)
    entries = printing.open_ledger().entries()
    rows = []
    for run in readable:
        try:
            rows.append(_row(run, find_best_score(run, entries)))
        except InputError as error:
            typer.echo(escape(f"{error} The run is omitted."), err=True)
    for damaged_run in damaged:
        path = damaged_run.folder / damaged_run.file
        text = f"{path} is damaged: {damaged_run.reason}. The run is omitted."
        typer.echo(escape(text), err=True)
    if json:
        printing.print_json(rows)
    elif not rows:
        where = [] if folder == options.RUNS else ["--run", str(folder / "NAME")]
        command = shlex.join([options.program(), "cv", *where])
        print(f"No runs in {folder.absolute()} yet. Start one with: {command}")
    else:
        printing.print_table([_describe(row) for row in rows], OPTIONAL_COLUMNS)


def _row(run: Any, public_score: float | None) -> dict[str, Any]:
    facts, metrics = run.facts, run.metrics or {}
    oof = metrics.get("oof") or {}
    members = run.members
    done = sum(run.is_fold_finished(number) for number in range(1, members + 1))
    return {
        "run": str(run.folder),
        "recipe": facts.settings.recipe,
        "data": facts.settings.source,
        "test_images_in_train": facts.test_images_in_train,
        "state": facts.state,
        "models": f"{done}/{members}",
        "epochs": facts.settings.training.epochs,
        "oof_accuracy": oof.get("accuracy"),
        "oof_log_loss": oof.get("log_loss"),
        "public_score": public_score,
        "seconds": metrics.get("seconds"),
        "started": facts.started,
    }


# Columns to drop on a narrow terminal, in this order.
OPTIONAL_COLUMNS = ("started", "log loss", "epochs", "data", "time", "models")


def _describe(row: dict[str, Any]) -> dict[str, str]:
    """Return the texts of a run by column heading."""

    def score(name: str) -> str:
        return "" if row[name] is None else f"{row[name]:.5f}"

    leaked = row["test_images_in_train"]
    return {
        "run": row["run"],
        "data": f"{row['data']}, {leaked:,} leaked" if leaked else row["data"],
        "models": row["models"] if row["state"] == "finished" else f"{row['models']} …",
        "epochs": str(row["epochs"]),
        "accuracy": score("oof_accuracy"),
        "log loss": score("oof_log_loss"),
        "public": score("public_score"),
        "time": "" if row["seconds"] is None else f"{row['seconds']:,.0f} s",
        "started": row["started"][:16].replace("T", " "),
    }
