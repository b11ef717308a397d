"""``kaggle-digits kernel``: train on Kaggle's machines and download the runs."""

import re
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits import recipes
from kaggle_digits.cli import options
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.terminal_text import escape_lines

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.client import Kaggle
    from kaggle_digits.kaggle_client.kernel_fetch import Fetched
    from kaggle_digits.kaggle_client.kernel_job import Job
    from kaggle_digits.kaggle_client.kernel_ledger import KernelLedger, PushedKernel
    from kaggle_digits.kaggle_client.kernel_script import Prepared

KERNELS = Path("kernels")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,100}/[a-z0-9]+(-[a-z0-9]+)*")
ACCELERATOR = re.compile(r"[A-Za-z0-9]{1,40}")
MIN_NAME = 5  # characters of a kernel's title
MIN_ID_BYTES = 16  # bytes of the random text that identifies a push
SOMEBODY = "YOUR-USER-NAME"

app = typer.Typer(help="Train on Kaggle's machines and download the runs.", no_args_is_help=True)

Kernel = Annotated[
    str | None,
    typer.Argument(metavar="[USER/NAME]", help="The kernel.  [default: the last one pushed]"),
]


@app.command()
def push(
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
            f"--accelerator {accelerator!r} is not the name of an accelerator. Expected one of "
            "Kaggle's, such as NvidiaTeslaT4, or none."
        )
    if dry_run:
        _report_dry_run(_prepare(_user_without_asking(), name, job, accelerator, own))
        return
    _require_credentials()
    from kaggle_digits.kaggle_client import kernels
    from kaggle_digits.kaggle_client.client import Kaggle

    ledger = _open_ledger()
    with Kaggle() as kaggle:
        prepared = _prepare(_ask_user(kaggle), name, job, accelerator, own)
        entry = kernels.push(prepared, ledger, kaggle, force=force, tell=_say)
    _say(
        f"Pushed {entry.kernel}, version {entry.version}: {entry.label} on {accelerator}, at most "
        f"{job.session_seconds / 3600:g} h. Recorded in {ledger.path}"
    )
    _say(f"Follow it with:\n  {options.program()} kernel status --wait")


@app.command()
def status(
    kernel: Kernel = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the session ends; show its log.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show the status of a pushed kernel and the last lines of its log.

    Ends with exit code 1 if the kernel failed.
    """
    from kaggle_digits.kaggle_client import kernel_job, kernels
    from kaggle_digits.kaggle_client.client import Kaggle

    _require_credentials()
    ledger = _open_ledger()
    with Kaggle() as kaggle:
        reference, entry = _find(kernel, ledger, kaggle)
        log: list[str] = []
        if wait:
            seconds = entry.session_seconds if entry else kernel_job.MAX_SESSION
            session = kernels.wait(
                reference, seconds, kaggle, tell=_say_aside, show=_show_log(json, log)
            )
        else:
            session = kernels.require_session(reference, kaggle)
            log += kernels.list_output(reference, kaggle).log[-kernels.LOG_SHOWN :]
        if entry:
            ledger.replace(entry, kernels.update(entry, session))
    if json:
        described = asdict(session) | {"kernel": reference, "log": log}
        options.print_json(described | {"pushed": entry and entry.to_json()})
    else:
        if not wait:
            _say("\n".join(log))
        pushed = f", {entry.label}, pushed {entry.time[:16].replace('T', ' ')}" if entry else ""
        _say(f"{reference}: {session.status}{pushed}")
    if session.status in kernels.FAILED:
        raise OutsideError(
            f"{reference} ended with {session.status}: "
            f"{session.failure or 'Kaggle gives no reason'}. Its log is at "
            f"https://www.kaggle.com/code/{reference}. Download its finished folds with "
            f"`kaggle-digits kernel fetch {reference}`."
        )
    if session.status == "COMPLETE" and not json:
        _say(f"Download its runs with:\n  {options.program()} kernel fetch {reference}")


@app.command()
def fetch(kernel: Kernel = None, json: options.Json = False) -> None:
    """Download the runs of a kernel into runs/.

    Checks the SHA-256 of each file and reads each run before it appears in runs/. Then `evaluate`,
    `ensemble`, `compare`, `predict` and `submit` work as for a run that was trained here.
    """
    from dataclasses import replace

    from kaggle_digits.kaggle_client import kernel_fetch
    from kaggle_digits.kaggle_client.client import Kaggle

    _require_credentials()
    ledger = _open_ledger()
    with Kaggle() as kaggle:
        reference, entry = _find(kernel, ledger, kaggle)
        got = kernel_fetch.fetch(reference, options.RUNS, kaggle, pushed=entry, tell=_say_aside)
    if entry:
        ledger.replace(entry, replace(entry, runs=tuple(map(str, got.runs))))
    csv = _write_submission(reference, got)
    if json:
        options.print_json(
            {
                "kernel": reference,
                "state": got.manifest.state,
                "runs": list(map(str, got.runs)),
                "submission": csv and str(csv),
            }
        )
        return
    for folder in got.runs:
        _describe_run(folder)
    if csv:
        _say(f"Submission   {csv}")
    if got.manifest.state != "finished":
        _say(
            f"The session {_describe_end(got.manifest.state)}. To resume an unfinished run here, "
            "run its own command, which `kaggle-digits evaluate` prints.",
        )


# ------------------------------------------------------------------------------------------- push


def _own_file(recipe: str) -> Path | None:
    """Return the Python file of ``recipe``; None for a built-in one."""
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
    from kaggle_digits.training import planning

    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", timeout.strip().lower())
    seconds = int(float(match[1]) * planning.SECONDS[match[2]]) if match else 0
    if not MIN_SESSION <= seconds <= MAX_SESSION:
        raise InputError(
            f"--timeout {timeout!r} is not a valid session length. Expected {MIN_SESSION} s to "
            f"{MAX_SESSION // 3600} h, such as 90m or 3h."
        )
    allowed = None if budget is None else planning.parse_budget(budget)
    if allowed and allowed.unit == "s" and allowed.amount >= seconds:
        raise InputError(
            f"--budget {budget} does not fit into a session of {timeout}. Expected a smaller "
            "--budget or a longer --timeout."
        )
    return seconds


def _require_name(name: str) -> str:
    from kaggle_digits.kaggle_client.kernel_job import MAX_NAME

    if not NAME.fullmatch(name) or not MIN_NAME <= len(name) <= MAX_NAME:
        raise InputError(
            f"--name {name!r} cannot be a kernel's name. Expected {MIN_NAME} to {MAX_NAME} "
            "lower-case letters and digits, joined by single hyphens, such as kaggle-digits-bn20."
        )
    return name


def _prepare(user: str, name: str, job: "Job", accelerator: str, own: Path | None) -> "Prepared":
    from kaggle_digits.kaggle_client import kernel_script

    return kernel_script.prepare(
        KERNELS / name,
        f"{user}/{name}",
        job,
        push=secrets.token_hex(MIN_ID_BYTES),
        accelerator=accelerator,
        recipe_file=own,
    )


def _report_dry_run(prepared: "Prepared") -> None:
    from kaggle_digits.kaggle_client.kernel_script import METADATA, SCRIPT

    _say((prepared.folder / METADATA).read_text(encoding="utf-8").rstrip())
    _say(
        f"Nothing was pushed. {prepared.folder / SCRIPT} ({prepared.size:,} bytes) would train "
        f"{prepared.job.label} within {prepared.job.session_seconds:,} s."
    )
    if prepared.kernel.startswith(SOMEBODY):
        _say(f"A dry run does not ask Kaggle for your user name: {SOMEBODY} is a placeholder.")


def _user_without_asking() -> str:
    from kaggle_digits import credentials

    found = credentials.find()
    user = found.user if found else ""
    return user if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", user) else SOMEBODY


def _ask_user(kaggle: "Kaggle") -> str:
    user = str(kaggle.call("user", doing="your user name"))
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", user):
        raise InputError(
            "Kaggle's client does not know your user name. Set KAGGLE_USERNAME to the name in the "
            "address of your profile."
        )
    return user


def _require_credentials() -> None:
    from kaggle_digits import credentials

    if credentials.find() is None:
        raise InputError(f"{credentials.explain_missing()}.")


# ---------------------------------------------------------------------------------- status, fetch


def _open_ledger() -> "KernelLedger":
    from kaggle_digits.kaggle_client.kernel_ledger import NAME as LEDGER
    from kaggle_digits.kaggle_client.kernel_ledger import KernelLedger

    ledger = KernelLedger(KERNELS / LEDGER)
    for number in ledger.damaged():
        typer.echo(f"{ledger.path}, line {number}: damaged, kept but ignored", err=True)
    return ledger


def _find(
    kernel: str | None, ledger: "KernelLedger", kaggle: "Kaggle"
) -> tuple[str, "PushedKernel | None"]:
    """Return ``kernel`` or the last pushed kernel, and its last entry in the ledger."""
    entries = ledger.entries()
    if kernel is None:
        if not entries:
            raise InputError(
                f"no kernel was pushed: {ledger.path} has no entries. Expected USER/NAME, or push "
                f"one with: {options.program()} kernel push"
            )
        return entries[-1].kernel, entries[-1]
    if NAME.fullmatch(kernel):
        kernel = f"{_ask_user(kaggle)}/{kernel}"
    if not REFERENCE.fullmatch(kernel):
        raise InputError(
            f"{kernel!r} is not a kernel's name. Expected USER/NAME as in its address, such as "
            "someone/kaggle-digits-bn20-5-fold."
        )
    return kernel, next((entry for entry in reversed(entries) if entry.kernel == kernel), None)


def _show_log(json: bool, log: list[str]) -> Any:
    return log.append if json else _say


def _write_submission(kernel: str, got: "Fetched") -> Path | None:
    """Write the CSV of a finished run, or of the mean of several runs, to submissions/.

    An existing CSV is not overwritten.
    """
    from kaggle_digits import files, results

    if got.manifest.state != "finished":
        return None
    several = len(got.runs) > 1
    name = kernel.partition("/")[2] if several else got.runs[0].name
    csv = options.SUBMISSIONS / f"{name}.csv"
    if csv.exists():
        return None
    if several:
        results.ensemble(list(got.runs)).write_submission(csv)
    else:
        files.write_bytes(csv, (got.runs[0] / "submission.csv").read_bytes())
    return csv


def _describe_run(folder: Path) -> None:
    from kaggle_digits.runs import Run

    run = Run(folder)
    scores = run.metrics
    oof = ((scores or {}).get("oof") or {}).get("accuracy")
    judged = "" if oof is None else f", out-of-fold accuracy {oof:.5f}"
    done = sum(run.fold_scores(number) is not None for number in range(1, run.members + 1))
    _say(f"Run          {folder} ({done} of {run.members} models{judged})")


def _describe_end(state: str) -> str:
    return {"stopped": "was stopped before its time limit"}.get(state, "ended early")


def _say(text: str) -> None:
    """Print ``text`` with control characters escaped."""
    typer.echo(escape_lines(text))


def _say_aside(text: str) -> None:
    typer.echo(escape_lines(text), err=True)
