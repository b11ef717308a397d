"""``kaggle-digits submit``: push a CSV to Kaggle, once, and learn its score."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from kaggle_digits.cli import options
from kaggle_digits.errors import InputError


def command(
    csv: Annotated[Path, typer.Argument(metavar="CSV", help="A file with ImageId,Label.")],
    message: Annotated[
        str | None, typer.Option(help="What Kaggle's list of submissions says of it.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the score.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Push it even if the same bytes were pushed before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check only, and print the command that pushes.")
    ] = False,
    if_possible: Annotated[
        bool,
        typer.Option(
            "--if-possible",
            help="Other data, no credentials, or a file that was pushed before is no error.",
        ),
    ] = False,
    input_: options.Input = Path("input"),
) -> None:
    """Check a CSV and push it to Kaggle, once.

    Kaggle has 60 seconds for an answer; KAGGLE_DIGITS_TIMEOUT=SECONDS gives it more, or less.
    """
    from kaggle_digits import credentials

    sha256, reason = _checked(csv, input_)
    if reason:
        _leave_it(reason, if_possible=if_possible)
        return
    later = _command(csv, message, input_)
    if dry_run:
        print(f"Nothing was pushed. To push it:\n  {later}")
        return
    if credentials.find() is None:
        reason = f"there are no credentials for Kaggle. {credentials.HOW_TO_GET}. Then:\n  {later}"
        _leave_it(reason, if_possible=if_possible)
        return
    ledger = options.opened_ledger()
    _push(csv, message, sha256, ledger, wait=wait, again=again, if_possible=if_possible)


def _checked(csv: Path, input_: Path) -> tuple[str, str | None]:
    """Return the SHA-256 of ``csv``, and why the competition does not want it, if so.

    Raises:
        InputError: it does not answer every test image in ``input_``, or others too.

    """
    from kaggle_digits import datasets, submissions
    from kaggle_digits.ledger import sha256_of

    splits = datasets.load(input_)
    answers = submissions.read(csv)
    sha256 = sha256_of(csv)
    submissions.check(answers, splits.test.ids, name=str(csv), source=f"test images in {input_}")
    print(f"{csv}: {len(answers):,} rows, one for each test image in {input_}.")
    return sha256, _unwanted(csv, sha256, splits, input_)


def _unwanted(csv: Path, sha256: str, splits: Any, input_: Path) -> str | None:
    """Return why ``csv`` answers no question of the competition's; None if it may."""
    from kaggle_digits.ledger import origin_of
    from kaggle_digits.runs import Run

    if splits.source == "rehearsal":
        score = [options.program(), "evaluate", str(csv), "--labels", str(input_ / "answers.csv")]
        return (
            f"{csv} is not for the competition: {input_} holds a rehearsal, other images in the "
            f"competition's format. Score it here instead:\n  {shlex.join(score)}"
        )
    if not splits.is_competition:
        return (
            f"{csv} is not for the competition: {input_} holds {splits.source} data with "
            f"{len(splits.test):,} test images, expected the competition's 28,000. "
            "Get those, and train on them, with one of:\n"
            "  kaggle-digits data get --source kaggle\n"
            "  kaggle-digits data get --from PATH/digit-recognizer.zip"
        )
    # As many rows and the same ids do not make it an answer: a rehearsal has 28,000 as well.
    origin = origin_of(sha256, options.RUNS)
    if origin is None:
        return None
    settings = Run(Path(origin.run)).description["settings"]
    if settings.get("test_fingerprint") in (None, splits.test.fingerprint):
        return None
    return (
        f"{csv} is not for the competition: the run {origin.run} made it from "
        f"{settings.get('source')} data, for other test images than those in {input_}. "
        "Expected the CSV of a run on these; `kaggle-digits runs` lists them."
    )


def _leave_it(reason: str, *, if_possible: bool) -> None:
    """Say why nothing is pushed: as an error, or as a remark where that was asked for."""
    if not if_possible:
        raise InputError(reason)
    print(f"Nothing was pushed: {reason}")


def _command(csv: Path, message: str | None, input_: Path) -> str:
    """Return the command that pushes ``csv``, as it can be typed here."""
    words = [options.program(), "submit", str(csv)]
    words += ["--input", str(input_)] if input_ != Path("input") else []
    words += ["--message", message] if message else []
    return shlex.join(words)


def _push(
    csv: Path,
    message: str | None,
    sha256: str,
    ledger: Any,
    *,
    wait: bool,
    again: bool,
    if_possible: bool,
) -> None:
    from kaggle_digits import pushing
    from kaggle_digits.kaggle_api import Kaggle

    text = message or f"kaggle-digits {csv.stem}"
    package = pushing.Package(csv, text, sha256, options.RUNS)
    with Kaggle() as kaggle:
        try:
            entry = pushing.push(package, ledger, kaggle, again=again, tell=print)
        except pushing.AlreadyPushedError as error:
            if not if_possible:
                raise
            print(error)
            return
        print(f"Pushed as {text!r}: reference {entry.reference}, noted in {ledger.path}")
        if wait:
            _print_score(pushing.wait(entry, ledger, kaggle, tell=print), kaggle)
        elif entry.public_score is None:
            print("Its score comes later: kaggle-digits leaderboard --refresh")


def _print_score(submission: Any, kaggle: Any) -> None:
    from kaggle_digits import pushing

    score = submission.public_score
    if score is None:
        print("Kaggle has finished with it and names no public score.")
        return
    rank = pushing.rank(score, kaggle)
    place = "its place on the leaderboard is not known" if rank is None else f"rank {rank:,}"
    print(f"Public score {score:.5f}, {place}")
