"""``kaggle-digits submit``: submit a CSV to Kaggle once, and wait for its score."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.errors import InputError

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.submit import CheckedCsv, SubmissionResult


def command(
    csv: Annotated[
        Path | None, typer.Argument(metavar="CSV", help="File with ImageId,Label.")
    ] = None,
    message: Annotated[
        str | None,
        typer.Option(
            "--message",
            "-m",
            help="Description in Kaggle's list of submissions.  [default: the file's name]",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="CSV",
            help="The same as the argument CSV, as in Kaggle's client.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the score.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Submit a file that was already submitted (same SHA-256)."),
    ] = False,
    again: Annotated[bool, typer.Option("--again", hidden=True)] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check only, and print the command that submits.")
    ] = False,
    declared_external: Annotated[
        bool,
        typer.Option(
            "--declared-external",
            help="Submit although test images occur among the training images, and declare it.",
        ),
    ] = False,
    if_possible: Annotated[
        bool,
        typer.Option(
            "--if-possible",
            help="Exit with 0 if there is nothing to submit: the data or the CSV is not the "
            "competition's, test images occur among the training images, there are no credentials, "
            "or the file was already submitted.",
        ),
    ] = False,
    competition: Annotated[str | None, typer.Option("--competition", "-c", hidden=True)] = None,
    input_: options.Input = Path("input"),
) -> None:
    """Check a CSV and submit it to Kaggle once.

    Each request to Kaggle has a deadline of 60 seconds; KAGGLE_DIGITS_TIMEOUT=SECONDS changes it.
    """
    from kaggle_digits import credentials
    from kaggle_digits.kaggle_client import submit

    csv = _require_one_file(csv, file, competition)
    checked = submit.check(csv, input_)
    printing.say(
        f"{csv}: {len(checked.copy.submission):,} rows, one for each test image in {input_}."
    )
    reason = checked.explain_refusal(declared_external=declared_external, program=options.program())
    if reason:
        _leave_it(reason, if_possible=if_possible)
        return
    later = _command(csv, message, input_, declared_external=declared_external)
    if not dry_run and credentials.find() is None:
        _leave_it(f"{credentials.explain_missing()}. Then:\n  {later}", if_possible=if_possible)
        return
    _say_what_is_known(checked)
    if dry_run:
        printing.say(f"Nothing was submitted. To submit it:\n  {later}")
        return
    _send(checked, message, wait=wait, force=force or again, if_possible=if_possible)


def _require_one_file(csv: Path | None, file: Path | None, competition: str | None) -> Path:
    """Return the file given as CSV or, as in Kaggle's own client, with -f."""
    from kaggle_digits.kaggle_client.client_process import COMPETITION

    if competition not in {None, COMPETITION}:
        raise InputError(
            f"--competition: received {competition!r}. Expected {COMPETITION!r}, the only one that "
            "kaggle-digits submits to. Omit the option."
        )
    named = [path for path in (csv, file) if path is not None]
    if len(named) != 1:
        received = " and ".join(map(str, named)) or "no file"
        raise InputError(
            f"received {received}. Expected one CSV with ImageId,Label, such as:\n"
            f"  {options.program()} submit {options.SUBMISSIONS / 'submission.csv'}"
        )
    return named[0]


def _say_what_is_known(checked: "CheckedCsv") -> None:
    """Print the file's provenance, its out-of-fold accuracy and its unusual formatting."""
    origin = checked.origin
    if checked.copy.oddities:
        printing.say(
            f"It has {', '.join(checked.copy.oddities)}, which Kaggle may reject. A clean copy "
            "with the same labels is submitted; the file itself is not changed."
        )
    if origin is None:
        printing.say(
            f"Unknown provenance: neither {options.RUNS} nor {options.SUBMISSIONS} has a record of "
            "this CSV."
        )
    else:
        images = "these" if origin.test_fingerprint else "unrecorded"
        accuracy = origin.oof_accuracy
        oof = "unknown" if accuracy is None else f"{accuracy:.5f}"
        printing.say(f"Made by {origin.run} for {images} test images. Out-of-fold accuracy: {oof}.")
    if not checked.has_known_images:
        _compare_with_runs(checked)


def _compare_with_runs(checked: "CheckedCsv") -> None:
    """Print the agreement with finished runs; warn if the file is probably for other images."""
    closest = checked.find_closest_run()
    if closest is None:
        printing.say("No finished run has the same test images, so it is not compared with any.")
        return
    share = f"{closest.rows:,} of {closest.total:,} rows ({closest.share:.1%})"
    printing.say(
        f"The closest finished run on these test images, {closest.run}, agrees on {share}."
    )
    if doubt := checked.describe_doubt(closest, options.program()):
        printing.say(f"Warning: {doubt}", to_stderr=True)


def _leave_it(reason: str, *, if_possible: bool) -> None:
    """Raise ``reason`` as an error, or only print it if ``if_possible``."""
    if not if_possible:
        raise InputError(reason)
    printing.say(f"Nothing was submitted: {reason}")


def _command(csv: Path, message: str | None, input_: Path, *, declared_external: bool) -> str:
    """Return the command that submits ``csv``, quoted for the shell."""
    words = [options.program(), "submit", str(csv)]
    words += ["--input", str(input_)] if input_ != Path("input") else []
    words += ["--message", message] if message else []
    words += ["--declared-external"] if declared_external else []
    return shlex.join(words)


def _send(
    checked: "CheckedCsv", message: str | None, *, wait: bool, force: bool, if_possible: bool
) -> None:
    from kaggle_digits.kaggle_client import push, submit

    try:
        result = submit.send(
            checked.pack(message),
            printing.open_ledger(),
            wait=wait,
            force=force,
            tell=printing.say,
        )
    except push.AlreadySubmittedError as error:
        if not if_possible:
            raise
        printing.say(str(error))
        return
    if wait:
        _print_score(result)
    elif result.public_score is None:
        printing.say("To get its score later: kaggle-digits leaderboard --refresh")


def _print_score(result: "SubmissionResult") -> None:
    from kaggle_digits.kaggle_client.score_bounds import ROWS, count_errors

    score = result.public_score
    if score is None:
        printing.say("Kaggle has processed it, but gives no public score.")
        return
    errors = count_errors(score, ROWS)
    count = "" if errors is None else f" ({errors:,} errors)"
    place = (
        "its rank on the leaderboard is unknown" if result.rank is None else f"rank {result.rank:,}"
    )
    printing.say(f"Public score {score:.5f}{count}, {place}")
