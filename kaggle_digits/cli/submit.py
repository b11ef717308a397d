"""``kaggle-digits submit``: submit a CSV to Kaggle, once, and learn its score."""

import hashlib
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options
from kaggle_digits.errors import InputError
from kaggle_digits.terminal_text import escape_lines

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.push import Package
    from kaggle_digits.runs.provenance import Provenance
    from kaggle_digits.submissions.clean_copy import CleanCopy


def command(
    csv: Annotated[
        Path | None, typer.Argument(metavar="CSV", help="A file with ImageId,Label.")
    ] = None,
    message: Annotated[
        str | None,
        typer.Option("--message", "-m", help="Description in Kaggle's list of submissions."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="CSV", help="The same as CSV, as in Kaggle's client."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the score.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Submit it even if it was already submitted.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", hidden=True)] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check only, and print the command that submits.")
    ] = False,
    declared_external: Annotated[
        bool,
        typer.Option(
            "--declared-external",
            help="Submit it although test images occur in the training images, and say so.",
        ),
    ] = False,
    if_possible: Annotated[
        bool,
        typer.Option(
            "--if-possible",
            help="Other data, no credentials, or a file that was already submitted is no error.",
        ),
    ] = False,
    competition: Annotated[str | None, typer.Option("--competition", "-c", hidden=True)] = None,
    input_: options.Input = Path("input"),
) -> None:
    """Check a CSV and submit it to Kaggle, once.

    Kaggle has 60 seconds for an answer; KAGGLE_DIGITS_TIMEOUT=SECONDS gives it more, or less.
    """
    from kaggle_digits import credentials, datasets, submissions
    from kaggle_digits.kaggle_client import push
    from kaggle_digits.submissions import clean_copy

    csv = _require_one_file(csv, file, competition)
    splits = datasets.load(input_)
    copy = clean_copy.read(csv)
    submissions.check(
        copy.submission, splits.test.ids, name=str(csv), source=f"test images in {input_}"
    )
    _say(f"{csv}: {len(copy.submission):,} rows, one for each test image in {input_}.")
    origin = _find_origin(copy)
    reason = _explain_unwanted(csv, origin, splits, input_)
    leaked = _count_leaks(splits, origin)
    if reason is None and leaked and not declared_external:
        reason = _explain_undeclared(csv, leaked, len(splits.test))
    if reason:
        _leave_it(reason, if_possible=if_possible)
        return
    later = _command(csv, message, input_, declared_external=declared_external)
    if not dry_run and credentials.find() is None:
        _leave_it(f"{credentials.explain_missing()}. Then:\n  {later}", if_possible=if_possible)
        return
    _say_what_is_known(csv, copy, origin, splits.test.fingerprint)
    if dry_run:
        _say(f"Nothing was submitted. To submit it:\n  {later}")
        return
    text = message or f"kaggle-digits {csv.stem}"
    if leaked:
        text += f" ({leaked:,} test images in training)"
    sha256 = hashlib.sha256(copy.original).hexdigest()
    package = push.Package(csv, text, sha256, copy.content, origin, leaked)
    _push(package, wait=wait, force=force or again, if_possible=if_possible)


def _say(text: str, *, to_stderr: bool = False) -> None:
    """Print ``text``, which may hold names from outside."""
    typer.echo(escape_lines(text), err=to_stderr)


def _require_one_file(csv: Path | None, file: Path | None, competition: str | None) -> Path:
    """Return the file that was named, as CSV or, the way of Kaggle's own client, with -f."""
    from kaggle_digits.kaggle_client.client_process import COMPETITION

    if competition not in {None, COMPETITION}:
        raise InputError(
            f"--competition: received {competition!r}, expected {COMPETITION!r}, the only one that "
            "this program submits to. Leave the option out."
        )
    named = [path for path in (csv, file) if path is not None]
    if len(named) != 1:
        received = " and ".join(map(str, named)) or "no file"
        raise InputError(
            f"received {received}. Expected one CSV with ImageId,Label, such as:\n"
            f"  {options.program()} submit {options.SUBMISSIONS / 'submission.csv'}"
        )
    return named[0]


def _find_origin(copy: "CleanCopy") -> "Provenance | None":
    """Return what made the file, or the same answers in clean form: spreadsheets change bytes."""
    from kaggle_digits.runs import provenance

    for content in (copy.original, copy.content):
        sha256 = hashlib.sha256(content).hexdigest()
        if origin := provenance.find_provenance(sha256, options.RUNS, options.SUBMISSIONS):
            return origin
    return None


def _say_what_is_known(
    csv: Path, copy: "CleanCopy", origin: "Provenance | None", fingerprint: str
) -> None:
    """Print which run made the file, for which images and how well, and what is odd about it."""
    if copy.oddities:
        _say(
            f"It has {', '.join(copy.oddities)}, which Kaggle may reject. A clean copy with the "
            "same answers is submitted; the file stays as it is."
        )
    if origin is None:
        _say(
            f"Origin unknown: no run in {options.RUNS} and no note in {options.SUBMISSIONS} has "
            "this CSV."
        )
    else:
        images = "these" if origin.test_fingerprint else "unrecorded"
        accuracy = origin.oof_accuracy
        oof = "unknown" if accuracy is None else f"{accuracy:.5f}"
        _say(f"Made by {origin.run} for {images} test images. Out-of-fold accuracy: {oof}.")
    if origin is None or not origin.test_fingerprint:
        _compare_with_runs(csv, copy, fingerprint)


def _compare_with_runs(csv: Path, copy: "CleanCopy", fingerprint: str) -> None:
    """Say how far the file agrees with finished runs; warn if it probably answers other images."""
    from kaggle_digits.runs import agreement

    closest = agreement.find_closest(copy.submission, fingerprint, options.RUNS)
    if closest is None:
        _say("No finished run has the same test images, so there is nothing to compare it with.")
        return
    share = f"{closest.rows:,} of {closest.total:,} rows ({closest.share:.1%})"
    _say(f"Of the finished runs on these test images, {closest.run} is closest: same on {share}.")
    if closest.share < agreement.MIN_PLAUSIBLE:
        look = shlex.join([options.program(), "compare", str(csv), closest.run])
        _say(
            f"Warning: {csv} agrees with every finished run on less than "
            f"{agreement.MIN_PLAUSIBLE:.0%} of the rows. It probably answers other images, or the "
            f"same ones in another order. See where:\n  {look}",
            to_stderr=True,
        )


def _count_leaks(splits: Any, origin: "Provenance | None") -> int:
    """Return how many test images occur in training images, of the run or in the input folder.

    A CSV may come from a run that is kept elsewhere, so what lies in the folder counts as well.
    """
    from kaggle_digits.datasets import leaks

    in_run = origin.test_images_in_train if origin else None
    return max(in_run or 0, leaks.count_repeats(splits.test.images, splits.train.images))


def _explain_unwanted(
    csv: Path, origin: "Provenance | None", splits: Any, input_: Path
) -> str | None:
    """Return why ``csv`` answers no question of the competition's; None if it may."""
    from kaggle_digits.datasets.advice import get_command

    if splits.source == "rehearsal":
        score = [options.program(), "evaluate", str(csv), "--labels", str(input_ / "answers.csv")]
        return (
            f"{csv} is not for the competition: {input_} holds a rehearsal, other images in the "
            f"competition's format. Score it here instead:\n  {shlex.join(score)}"
        )
    if not splits.is_competition:
        get = partial(get_command, input_, program=options.program())
        return (
            f"{csv} is not for the competition: {input_} holds {splits.source} data with "
            f"{len(splits.test):,} test images, expected the competition's 28,000. "
            "Get those, and train on them, with one of:\n"
            f"  {get('--source', 'kaggle')}\n  {get('--from', 'PATH/digit-recognizer.zip')}"
        )
    # As many rows and the same ids do not make it an answer: a rehearsal has 28,000 as well.
    if origin is None or origin.test_fingerprint in (None, splits.test.fingerprint):
        return None
    return (
        f"{csv} is not for the competition: the run {origin.run} made it from {origin.source} "
        f"data, for other test images than those in {input_}. "
        "Expected the CSV of a run on these; `kaggle-digits runs` lists them."
    )


def _explain_undeclared(csv: Path, leaked: int, images: int) -> str:
    return (
        f"{csv} answers test images that its network may have been trained on: {leaked:,} of "
        f"{images:,} occur in the training images, pixel for pixel. Expected none. Remove them "
        "from train.csv and train again, or, if the competition's rules allow them, submit with "
        "--declared-external: the ledger and the message on Kaggle then say so."
    )


def _leave_it(reason: str, *, if_possible: bool) -> None:
    """Say why nothing is submitted: as an error, or as a remark where that was asked for."""
    if not if_possible:
        raise InputError(reason)
    _say(f"Nothing was submitted: {reason}")


def _command(csv: Path, message: str | None, input_: Path, *, declared_external: bool) -> str:
    """Return the command that submits ``csv``, as it can be typed here."""
    words = [options.program(), "submit", str(csv)]
    words += ["--input", str(input_)] if input_ != Path("input") else []
    words += ["--message", message] if message else []
    words += ["--declared-external"] if declared_external else []
    return shlex.join(words)


def _push(package: "Package", *, wait: bool, force: bool, if_possible: bool) -> None:
    from kaggle_digits.kaggle_client import push
    from kaggle_digits.kaggle_client.client import Kaggle

    ledger = options.opened_ledger()
    with Kaggle() as kaggle:
        try:
            entry = push.push(package, ledger, kaggle, force=force, tell=_say)
        except push.AlreadySubmittedError as error:
            if not if_possible:
                raise
            _say(str(error))
            return
        _say(
            f"Submitted as {package.message!r}: reference {entry.reference}, recorded in "
            f"{ledger.path}"
        )
        if wait:
            _print_score(push.wait(entry, ledger, kaggle, tell=_say), kaggle)
        elif entry.public_score is None:
            _say("Its score comes later: kaggle-digits leaderboard --refresh")


def _print_score(submission: Any, kaggle: Any) -> None:
    from kaggle_digits.kaggle_client import push
    from kaggle_digits.kaggle_client.score_bounds import ROWS, count_errors

    score = submission.public_score
    if score is None:
        _say("Kaggle has finished with it, but gives no public score.")
        return
    errors = count_errors(score, ROWS)
    count = "" if errors is None else f" ({errors:,} errors)"
    rank = push.rank(score, kaggle)
    place = "its rank on the leaderboard is unknown" if rank is None else f"rank {rank:,}"
    _say(f"Public score {score:.5f}{count}, {place}")
