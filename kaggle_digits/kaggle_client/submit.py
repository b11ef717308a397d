"""Check a CSV against the competition's test images, and submit it to Kaggle once.

The command line and a notebook use the same checks: the right images, one row for each of them, no
test image among the training images unless declared, and no file that was already submitted.
"""

import hashlib
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits import credentials, datasets, files, submissions
from kaggle_digits.datasets import leaks
from kaggle_digits.datasets.advice import get_command
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError
from kaggle_digits.files import RUNS, SUBMISSIONS
from kaggle_digits.kaggle_client import push
from kaggle_digits.kaggle_client.client import Kaggle
from kaggle_digits.kaggle_client.ledger import NAME, Entry, Ledger
from kaggle_digits.kaggle_client.recovery import Tell
from kaggle_digits.runs import agreement, provenance
from kaggle_digits.runs.agreement import Agreement
from kaggle_digits.runs.provenance import Provenance
from kaggle_digits.submissions import clean_copy
from kaggle_digits.submissions.clean_copy import CleanCopy

PROGRAM = "kaggle-digits"


@dataclass(frozen=True, eq=False)
class CheckedCsv:
    """A CSV with one row for each test image, and its provenance.

    Attributes:
        csv: the user's file.
        input: the folder with the competition's data.
        copy: its labels, and the bytes that are uploaded.
        splits: the data set in the folder.
        origin: the run that made it; None if it is unknown.
        test_images_in_train: number of test images that are identical to a training image: of the
            run or of the folder, whichever is larger.

    """

    csv: Path
    input: Path
    copy: CleanCopy
    splits: Splits
    origin: Provenance | None
    test_images_in_train: int

    @property
    def has_known_images(self) -> bool:
        """Whether the run that made the file recorded for which test images."""
        return self.origin is not None and self.origin.test_fingerprint is not None

    def find_closest_run(self) -> Agreement | None:
        """Return the finished run on the same images that agrees most; None if there is none."""
        return agreement.find_closest(self.copy.submission, self.splits.test.fingerprint, RUNS)

    def describe_doubt(self, closest: Agreement, program: str = PROGRAM) -> str | None:
        """Return a warning if the file is probably for other images; None without a doubt.

        Args:
            closest: from `find_closest_run`.
            program: the program's name in the command of the message.

        """
        if closest.share >= agreement.MIN_PLAUSIBLE:
            return None
        look = shlex.join([program, "compare", str(self.csv), closest.run])
        return (
            f"{self.csv} agrees with every finished run on less than "
            f"{agreement.MIN_PLAUSIBLE:.0%} of the rows. It is probably for other images, or for "
            f"the same images in another order. Show the differences with:\n  {look}"
        )

    def explain_refusal(self, *, declared_external: bool, program: str = PROGRAM) -> str | None:
        """Return why the file must not be submitted and what to do; None if it may be.

        Args:
            declared_external: whether the user declares that test images are in the training data.
            program: the program's name in the commands of the message.

        """
        reason = self._explain_other_images(program)
        if reason is None and self.test_images_in_train and not declared_external:
            return (
                f"{self.csv}: {self.test_images_in_train:,} of {len(self.splits.test):,} test "
                "images are identical to training images. Expected none. Remove them from "
                "train.csv and train again. If the competition's rules allow them, submit with "
                "--declared-external, which records their number in the ledger and on Kaggle."
            )
        return reason

    def _explain_other_images(self, program: str) -> str | None:
        splits, origin = self.splits, self.origin
        if splits.source == "rehearsal":
            answers = str(self.input / "answers.csv")
            score = [program, "evaluate", str(self.csv), "--labels", answers]
            return (
                f"{self.csv} is not for the competition: {self.input} holds a rehearsal, which has "
                "other images in the competition's format. Score the CSV locally instead:\n"
                f"  {shlex.join(score)}"
            )
        if not splits.is_competition:
            download = get_command(self.input, "--source", "kaggle", program=program)
            from_zip = get_command(
                self.input, "--from", "PATH/digit-recognizer.zip", program=program
            )
            return (
                f"{self.csv} is not for the competition: {self.input} holds {splits.source} data "
                f"with {len(splits.test):,} test images. Expected the competition's 28,000. "
                "Get the competition's data with one of these commands, then train:\n"
                f"  {download}\n  {from_zip}"
            )
        # Equal ids do not suffice: a rehearsal has 28,000 rows as well.
        if origin is None or origin.test_fingerprint in (None, splits.test.fingerprint):
            return None
        return (
            f"{self.csv} is not for the competition: the run {origin.run} made it from "
            f"{origin.source} data, for other test images than those in {self.input}. "
            "Expected the CSV of a run on this data; `kaggle-digits runs` lists the runs."
        )

    def pack(self, message: str | None) -> push.Package:
        """Return the package that is sent to Kaggle.

        Args:
            message: the description in Kaggle's list; None uses the file's name.

        """
        text = message or f"kaggle-digits {self.csv.stem}"
        if self.test_images_in_train:
            text += f" ({self.test_images_in_train:,} test images in training)"
        return push.Package(
            self.csv,
            text,
            hashlib.sha256(self.copy.original).hexdigest(),
            self.copy.content,
            self.origin,
            self.test_images_in_train,
        )


def check(csv: Path, input_: Path) -> CheckedCsv:
    """Read a CSV and check that it has one row for each test image.

    Args:
        csv: a file with ``ImageId,Label``.
        input_: the folder with the competition's data.

    Raises:
        InputError: the CSV or the data cannot be read, or the rows do not match the test images.

    """
    splits = datasets.load(input_)
    copy = clean_copy.read(csv)
    submissions.check(
        copy.submission, splits.test.ids, name=str(csv), source=f"test images in {input_}"
    )
    origin = _find_origin(copy)
    in_run = origin.test_images_in_train if origin else None
    # The CSV may come from a run elsewhere, so the training images in the folder count as well.
    in_folder = leaks.count_repeats(splits.test.images, splits.train.images)
    return CheckedCsv(csv, input_, copy, splits, origin, max(in_run or 0, in_folder))


def _find_origin(copy: CleanCopy) -> Provenance | None:
    """Return the provenance of the file or of its clean copy, because spreadsheets change bytes."""
    for content in (copy.original, copy.content):
        sha256 = hashlib.sha256(content).hexdigest()
        if origin := provenance.find_provenance(sha256, RUNS, SUBMISSIONS):
            return origin
    return None


@dataclass(frozen=True)
class SubmissionResult:
    """A submission that Kaggle has received.

    Attributes:
        entry: its entry in the ledger.
        public_score: accuracy on the public leaderboard (0-1); None while it is unknown.
        rank: position of that score on the public leaderboard, from 1; None if it is unknown.

    Example:
        >>> result = kd.submit("submissions/blend.csv", wait=True)  # doctest: +SKIP
        >>> result.reference, result.public_score, result.rank  # doctest: +SKIP
        (1001, 0.99, 3)

    """

    entry: Entry
    public_score: float | None
    rank: int | None

    @property
    def reference(self) -> int | None:
        """Kaggle's reference number of the submission; None while it is unknown."""
        return self.entry.reference


def send(
    package: push.Package, ledger: Ledger, *, wait: bool, force: bool, tell: Tell
) -> SubmissionResult:
    """Submit a checked file once, and wait for its score if asked.

    Args:
        package: the package to send, from `CheckedCsv.pack`.
        ledger: the ledger that records it.
        wait: whether to wait for the score.
        force: submit it even if it was already submitted.
        tell: called with each status line for the user.

    Raises:
        AlreadySubmittedError: it was already submitted. Nothing was sent.
        OutcomeUnknownError: it may have been submitted already. Nothing was sent.
        OutsideError: Kaggle rejected it, could not score it, or gave no score in time.

    """
    with Kaggle() as kaggle:
        entry = push.push(package, ledger, kaggle, force=force, tell=tell)
        tell(
            f"Submitted as {package.message!r}: reference {entry.reference}, recorded in "
            f"{ledger.path}"
        )
        if not wait:
            return SubmissionResult(entry, entry.public_score, None)
        score = push.wait(entry, ledger, kaggle, tell=tell).public_score
        return SubmissionResult(entry, score, None if score is None else push.rank(score, kaggle))


def submit(
    csv: str | Path,
    data: str | Path = "input",
    *,
    message: str | None = None,
    wait: bool = False,
    force: bool = False,
    declared_external: bool = False,
) -> SubmissionResult:
    """Submit a CSV to the competition, with the checks of ``kaggle-digits submit``.

    Args:
        csv: a file with ``ImageId,Label``, one row for each test image.
        data: the folder with the competition's data.
        message: description in Kaggle's list of submissions. None uses the file's name.
        wait: whether to wait for the score, for up to ten minutes.
        force: submit it even if it was already submitted. This uses one of the day's submissions.
        declared_external: submit it although test images occur in the training images.

    Returns:
        Kaggle's reference and, with ``wait``, the public score and its rank.

    Raises:
        InputError: the file, the data or the credentials are wrong or missing, or the file was
            already submitted. Nothing was sent.
        OutsideError: Kaggle rejected the file, could not score it, or did not answer in time.

    Example:
        >>> kd.submit("submissions/sample.csv")
        Traceback (most recent call last):
            ...
        kaggle_digits.errors.InputError: submissions/sample.csv is not for the competition: ...

    """
    if not isinstance(csv, str | Path):
        raise InputError(
            f"submit received {type(csv).__name__}. Expected the path of a CSV, as "
            "write_submission returns it."
        )
    checked = check(files.expand_home(csv), files.expand_home(data))
    if reason := checked.explain_refusal(declared_external=declared_external):
        raise InputError(reason)
    if credentials.find() is None:
        raise InputError(f"{credentials.explain_missing()}.")
    if not checked.has_known_images:
        _warn_of_other_images(checked)
    ledger = Ledger(SUBMISSIONS / NAME)
    return send(checked.pack(message), ledger, wait=wait, force=force, tell=lambda _: None)


def _warn_of_other_images(checked: CheckedCsv) -> None:
    closest = checked.find_closest_run()
    if closest and (doubt := checked.describe_doubt(closest)):
        warnings.warn(doubt, stacklevel=4)  # the user's line, before `submit` and `speak_python`
