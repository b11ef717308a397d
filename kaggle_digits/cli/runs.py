"""``kaggle-digits runs``: what has been trained here."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kaggle_digits.cli import options


def command(
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR")] = options.RUNS,
    json: options.Json = False,
) -> None:
    """List what was trained, with its scores and time."""
    from kaggle_digits import runs

    readable, damaged = runs.listed(folder)
    entries = options.opened_ledger().entries()
    rows = [_row(run, _best_score(run, entries)) for run in readable]
    for run in damaged:
        typer.echo(f"{run.folder}: its run.json is damaged, and it is left out here", err=True)
    if json:
        options.print_json(rows)
    elif not rows:
        print(f"No runs in {folder.absolute()} yet. Start one with: kaggle-digits cv")
    else:
        _print_table(rows)


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
        "external": bool(settings.get("external")),
        "state": description["state"],
        "models": f"{done}/{settings['folds'] * settings['seeds']}",
        "epochs": settings["training"]["epochs"],
        "oof_accuracy": oof.get("accuracy"),
        "oof_log_loss": oof.get("log_loss"),
        "public_score": public_score,
        "seconds": metrics.get("seconds"),
        "started": description["started"],
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    headings = ("data", "models", "epochs", "accuracy", "log loss", "public", "time", "started")
    # A name is there to be copied: rather let the other columns wrap.
    name = Column("run", no_wrap=True, min_width=max(len(row["run"]) for row in rows))
    table = Table(name, *headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            row["run"],
            f"{row['data']}, external" if row["external"] else row["data"],
            row["models"] if row["state"] == "finished" else f"{row['models']} …",
            str(row["epochs"]),
            "" if row["oof_accuracy"] is None else f"{row['oof_accuracy']:.5f}",
            "" if row["oof_log_loss"] is None else f"{row['oof_log_loss']:.5f}",
            "" if row["public_score"] is None else f"{row['public_score']:.5f}",
            "" if row["seconds"] is None else f"{row['seconds']:,.0f} s",
            row["started"][:16].replace("T", " "),
        )
    Console().print(table)
