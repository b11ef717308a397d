"""``kaggle-digits kernel push``: train on Kaggle's machine."""

import re
import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import kernel_common, options, printing
from kaggle_digits.errors import InputError, suggest

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.kernel_job import Job
    from kaggle_digits.kaggle_client.kernel_script import Prepared

GPUS = ("NvidiaTeslaT4", "NvidiaTeslaP100")  # of those that Kaggle's client names
ACCELERATOR = re.compile(r"Nvidia[A-Za-z0-9]{1,40}|none")
MIN_NAME = 5  # characters of a kernel's title
MIN_ID_BYTES = 16  # bytes of the random text that identifies a push
SOMEBODY = "YOUR-USER-NAME"


def command(
    recipe: options.Recipe = "bn20",
    folds: options.Folds = 5,
    seeds: options.Seeds = 1,
    epochs: options.Epochs = None,
    precision: options.ChosenPrecision = None,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Train the members of `record` instead of a recipe.",
            rich_help_panel=options.TRAINING,
        ),
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|FLOP",
            help="Budget of --record, such as 2h.  [default: the session's length]",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    accelerator: Annotated[
        str,
        typer.Option(metavar="NAME", help="Kaggle's name of a GPU, or none to train on the CPU."),
    ] = "NvidiaTeslaT4",
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="Time after which Kaggle ends the session.")
    ] = "3h",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the kernel.  [default: named by its settings]"),
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="DIR", help="Folder on Kaggle's machine to search for the data.")
    ] = "/kaggle/input",
    force: Annotated[
        bool, typer.Option("--force", help="Push even if the same training was already pushed.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Write the folder and print what would be sent, but send nothing."
        ),
    ] = False,
) -> None:
    """Push a training run to Kaggle once.

    Writes a folder in kernels/ with the kernel's metadata and one script that contains
    kaggle-digits and the recipe's file. On Kaggle the script finds the competition's data, saves a
    checkpoint after every epoch and stops before the session ends.
    """
    from kaggle_digits.kaggle_client.kernel_job import Job

    if record and (recipe != "bn20" or epochs or seeds > 1):
        raise InputError(
            "--record chooses recipes, epochs and seeds by its budget. Omit --recipe, --epochs and "
            "--seeds, or omit --record."
        )
    if budget is not None and not record:
        raise InputError(f"--budget {budget} needs --record. Add --record or omit --budget.")
    own = _own_file(recipe)
    job = Job(
        recipe=recipe if own is None else own.name,
        record=record,
        folds=folds,
        seeds=seeds,
        seed=seed,
        epochs=epochs,
        limit=limit,
        precision=None if precision is None else precision.value,
        budget=budget,
        session_seconds=_session_seconds(timeout, budget),
        data=data,
    )
    name = _require_name(name or job.default_name)
    if not ACCELERATOR.fullmatch(accelerator):
        raise InputError(
            f"--accelerator {accelerator!r} is not the name of a GPU."
            f"{suggest(accelerator, GPUS)} Expected {', '.join(GPUS)} or another of Kaggle's names "
            "that begin with Nvidia, or none."
        )
    from kaggle_digits.kaggle_client import kernels

    if dry_run:
        with kernels.lock(kernel_common.KERNELS):
            _report_dry_run(_prepare(_user_without_asking(), name, job, accelerator, own))
        return
    kernel_common.require_credentials()
    from kaggle_digits.kaggle_client.client import Kaggle

    ledger = kernel_common.open_ledger()
    with Kaggle() as kaggle:
        user = kernel_common.ask_user(kaggle)
        prepare = partial(_prepare, user, name, job, accelerator, own)
        entry = kernels.push(prepare, ledger, kaggle, force=force, tell=printing.say)
    printing.say(
        f"Pushed {entry.kernel}, version {entry.version}: {entry.label} on {accelerator}, at most "
        f"{job.session_seconds / 3600:g} h. Recorded in {ledger.path}"
    )
    printing.say(f"Follow it with:\n  {options.program()} kernel status --wait")


def _own_file(recipe: str) -> Path | None:
    """Return the Python file of ``recipe``; None for a built-in one."""
    from kaggle_digits import recipes

    found = recipes.find(recipe)  # reports a mistake before anything is sent
    if found.file is None:
        return None
    if not recipe.endswith(".py"):
        raise InputError(
            f"--recipe {recipe} is in a package that Kaggle's machine does not have. Expected a "
            "built-in recipe, or a self-contained Python file such as ./my_net.py."
        )
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}\.py", found.file.name):
        raise InputError(
            f"{found.file.name!r} cannot be the name of a recipe's file on Kaggle's machine. "
            "Rename it: expected letters, digits and -._, and .py at the end."
        )
    return found.file


def _session_seconds(timeout: str, budget: str | None) -> int:
    from kaggle_digits.kaggle_client.kernel_job import MAX_SESSION, MIN_SESSION
    from kaggle_digits.training.budget import SECONDS, parse_budget

    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", timeout.strip().lower())
    seconds = int(float(match[1]) * SECONDS[match[2]]) if match else 0
    if not MIN_SESSION <= seconds <= MAX_SESSION:
        raise InputError(
            f"--timeout {timeout!r} is not a valid session length. Expected {MIN_SESSION} s to "
            f"{MAX_SESSION // 3600} h, such as 90m or 3h."
        )
    allowed = None if budget is None else parse_budget(budget)
    if allowed and allowed.unit == "s" and allowed.amount >= seconds:
        raise InputError(
            f"--budget {budget} does not fit into a session of {timeout}. Expected a smaller "
            "--budget or a longer --timeout."
        )
    return seconds


def _require_name(name: str) -> str:
    from kaggle_digits.kaggle_client.kernel_job import MAX_NAME

    if not kernel_common.NAME.fullmatch(name) or not MIN_NAME <= len(name) <= MAX_NAME:
        raise InputError(
            f"--name {name!r} cannot be a kernel's name. Expected {MIN_NAME} to {MAX_NAME} "
            "lower-case letters and digits, joined by single hyphens, such as kaggle-digits-bn20."
        )
    return name


def _prepare(user: str, name: str, job: "Job", accelerator: str, own: Path | None) -> "Prepared":
    from kaggle_digits.kaggle_client import kernel_script

    return kernel_script.prepare(
        kernel_common.KERNELS / name,
        f"{user}/{name}",
        job,
        push=secrets.token_hex(MIN_ID_BYTES),
        accelerator=accelerator,
        recipe_file=own,
    )


def _report_dry_run(prepared: "Prepared") -> None:
    from kaggle_digits.kaggle_client.kernel_script import METADATA, SCRIPT

    printing.say((prepared.folder / METADATA).read_text(encoding="utf-8").rstrip())
    printing.say(
        f"Nothing was pushed. {prepared.folder / SCRIPT} ({prepared.size:,} bytes) would train "
        f"{prepared.job.label} within {prepared.job.session_seconds:,} s."
    )
    if prepared.kernel.startswith(SOMEBODY):
        printing.say(
            f"A dry run does not ask Kaggle for your user name: {SOMEBODY} is a placeholder."
        )


def _user_without_asking() -> str:
    from kaggle_digits import credentials

    found = credentials.find()
    user = found.user if found else ""
    return user if kernel_common.USER.fullmatch(user) else SOMEBODY
