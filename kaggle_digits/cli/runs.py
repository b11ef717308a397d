"""``kaggle-digits runs``: what has been trained here."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options
from kaggle_digits.terminal_text import escape

if TYPE_CHECKING:
    from rich.table import Table


def command(
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR")] = options.RUNS,
    json: options.Json = False,
) -> None:
    """List what was trained, with its scores and time."""
    from kaggle_digits import runs

    readable, damaged = runs.listed(folder)
    entries = options.opened_ledger().entries()
    rows = []
    for run in readable:
        try:
            row = _row(run, _best_score(run, entries))
            _described(row)  # raises if a value is of another type
            rows.append(row)
        except (KeyError, TypeError, ValueError, AttributeError):
            _say_damaged(run, "run.json, metrics.json or a fold's finished.json")
    for run in damaged:
        _say_damaged(run, "run.json")
    if json:
        options.print_json(rows)
    elif not rows:
        print(f"No runs in {folder.absolute()} yet. Start one with: kaggle-digits cv")
    else:
        _print_table(rows)


def _say_damaged(run: Any, file: str) -> None:
    typer.echo(
        f"{escape(str(run.folder))}: its {file} is damaged, and it is left out here", err=True
    )


def _best_score(run: Any, entries: list[Any]) -> float | None:
    scores = [entry.public_score for entry in entries if entry.run == str(run.folder)]
    return max((score for score in scores if score is not None), default=None)


def _row(run: Any, public_score: float | None) -> dict[str, Any]:
    description, metrics = run.description, run.metrics or {}
    settings, oof = description["settings"], metrics.get("oof") or {}
    done = sum(
        run.fold_scores(number) is not None
        for number in range(1, settings["folds"] * settings["seeds"] + 1)
    )
    return {
        "run": str(run.folder),
        "recipe": settings["recipe"],
        "data": settings["source"],
        "test_images_in_train": run.test_images_in_train,
        "state": description["state"],
        "models": f"{done}/{settings['folds'] * settings['seeds']}",
        "epochs": settings["training"]["epochs"],
        "oof_accuracy": oof.get("accuracy"),
        "oof_log_loss": oof.get("log_loss"),
        "public_score": public_score,
        "seconds": metrics.get("seconds"),
        "started": description["started"],
    }


ROOM = 10_000  # characters
# What a narrow terminal goes without, the first first.
LEAST_WANTED = ("started", "log loss", "epochs", "data", "time", "models")


def _print_table(rows: list[dict[str, Any]]) -> None:
    console = options.console()
    if not console.is_terminal:  # a file or another program has room
        console = options.console(width=ROOM)
    room = console.options.update(max_width=ROOM)
    for count in range(len(LEAST_WANTED) + 1):
        table = _table(rows, LEAST_WANTED[:count])
        if console.measure(table, options=room).maximum <= console.width:
            break
    console.print(table)


def _table(rows: list[dict[str, Any]], left_out: Sequence[str]) -> "Table":
    from rich.table import Table

    described = [_described(row) for row in rows]
    headings = [name for name in described[0] if name not in left_out]
    table = Table(box=None, pad_edge=False)
    for name in headings:
        table.add_column(name, no_wrap=True)
    for one in described:
        table.add_row(*(escape(str(one[name])) for name in headings))
    return table


def _described(row: dict[str, Any]) -> dict[str, str]:
    """Return a run as words, by the heading of each column."""

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
