"""``kaggle-digits kernel``: train on Kaggle's machines and download the runs."""

import typer

from kaggle_digits.cli import kernel_fetch, kernel_push, kernel_status

app = typer.Typer(help="Train on Kaggle's machines and download the runs.", no_args_is_help=True)
app.command("push")(kernel_push.command)
app.command("status")(kernel_status.command)
app.command("fetch")(kernel_fetch.command)
