"""``kaggle-digits submit``: push a CSV to Kaggle, once, and learn its score."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options
from kaggle_digits.errors import InputError

if TYPE_CHECKING:
    from kaggle_digits.origins import Origin
    from kaggle_digits.pushing import Package


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
    declared_external: Annotated[
        bool,
        typer.Option(
            "--declared-external",
            help="Push it although test images occur in the training images, and say so.",
        ),
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
    from kaggle_digits import credentials, datasets, files, origins, pushing

    splits = datasets.load(input_)
    _require_all_answered(csv, splits, input_)
    sha256 = files.sha256_of(csv)
    origin = origins.origin_of(sha256, options.RUNS, options.SUBMISSIONS)
    reason = _unwanted(csv, origin, splits, input_)
    leaked = _count_leaks(splits, origin)
    if reason is None and leaked and not declared_external:
        reason = _undeclared(csv, leaked, len(splits.test))
    if reason:
        _leave_it(reason, if_possible=if_possible)
        return
    later = _command(csv, message, input_, declared_external=declared_external)
    if not dry_run and credentials.find() is None:
        reason = f"there are no credentials for Kaggle. {credentials.HOW_TO_GET}. Then:\n  {later}"
        _leave_it(reason, if_possible=if_possible)
        return
    if origin and origin.oof_accuracy is not None:
        print(f"Made by {origin.run}: accuracy {origin.oof_accuracy:.5f} on what it held out.")
    if dry_run:
        print(f"Nothing was pushed. To push it:\n  {later}")
        return
    text = message or f"kaggle-digits {csv.stem}"
    if leaked:
        text += f" ({leaked:,} test images in training)"
    package = pushing.Package(csv, text, sha256, origin, leaked)
    _push(package, wait=wait, again=again, if_possible=if_possible)


def _require_all_answered(csv: Path, splits: Any, input_: Path) -> None:
    """Raise an InputError unless ``csv`` answers every test image in ``input_`` and no other.

    Says what it answers.
    """
    from kaggle_digits import submissions

    answers = submissions.read(csv)
    submissions.check(answers, splits.test.ids, name=str(csv), source=f"test images in {input_}")
    print(f"{csv}: {len(answers):,} rows, one for each test image in {input_}.")


def _count_leaks(splits: Any, origin: "Origin | None") -> int:
    """Return how many test images occur in training images, of the run or in the input folder.

    A CSV may come from a run that is kept elsewhere, so what lies in the folder counts as well.
    """
    from kaggle_digits.datasets import leaks

    in_run = origin.test_images_in_train if origin else None
    return max(in_run or 0, leaks.count_repeats(splits.test.images, splits.train.images))


def _unwanted(csv: Path, origin: "Origin | None", splits: Any, input_: Path) -> str | None:
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


def _undeclared(csv: Path, leaked: int, images: int) -> str:
    return (
        f"{csv} answers test images that its network may have been trained on: {leaked:,} of "
        f"{images:,} occur in the training images, pixel for pixel. Expected none. Remove them "
        "from train.csv and train again, or, if the competition's rules allow them, submit with "
        "--declared-external: the ledger and the message on Kaggle then say so."
    )


def _leave_it(reason: str, *, if_possible: bool) -> None:
    """Say why nothing is pushed: as an error, or as a remark where that was asked for."""
    if not if_possible:
        raise InputError(reason)
    print(f"Nothing was pushed: {reason}")


def _command(csv: Path, message: str | None, input_: Path, *, declared_external: bool) -> str:
    """Return the command that pushes ``csv``, as it can be typed here."""
    words = [options.program(), "submit", str(csv)]
    words += ["--input", str(input_)] if input_ != Path("input") else []
    words += ["--message", message] if message else []
    words += ["--declared-external"] if declared_external else []
    return shlex.join(words)


def _push(package: "Package", *, wait: bool, again: bool, if_possible: bool) -> None:
    from kaggle_digits import pushing
    from kaggle_digits.kaggle_api import Kaggle

    ledger = options.opened_ledger()
    with Kaggle() as kaggle:
        try:
            entry = pushing.push(package, ledger, kaggle, again=again, tell=print)
        except pushing.AlreadyPushedError as error:
            if not if_possible:
                raise
            print(error)
            return
        print(f"Pushed as {package.message!r}: reference {entry.reference}, noted in {ledger.path}")
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
