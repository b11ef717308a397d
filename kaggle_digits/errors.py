"""Define the exceptions that the command line turns into exit codes, and helpers for messages.

Of this package, it imports only `terminal_text`, which imports nothing of it.
"""

import errno
from collections.abc import Iterable
from pathlib import Path

from kaggle_digits.terminal_text import plain

NOT_LOADED = ("failed to map segment from shared object", "annot allocate memory")


class KaggleDigitsError(Exception):
    """A failure with a message for the user: what was received, expected, and what to do next."""

    exit_code = 1


class InputError(KaggleDigitsError):
    """The user's command or data is wrong; the same call will fail again. Exit code 2."""

    exit_code = 2


class DivergedError(InputError):
    """The loss of a training is not finite: its learning rate is too high."""


class OutsideError(KaggleDigitsError):
    """Something outside failed (disk, network, Kaggle); trying again may help. Exit code 1."""

    exit_code = 1


def pack_error(error: KaggleDigitsError) -> tuple[str, str]:
    """Return the kind and the message of ``error``, to be sent to another process.

    Pickle cannot restore an exception whose arguments are not its message.
    """
    if isinstance(error, DivergedError):
        return DivergedError.__name__, str(error)
    kind = InputError if error.exit_code == InputError.exit_code else OutsideError
    return kind.__name__, str(error)


def unpack_error(kind: str, message: str) -> KaggleDigitsError:
    """Return the error that `pack_error` described in another process."""
    kinds = {known.__name__: known for known in (DivergedError, InputError, OutsideError)}
    return kinds[kind](message)


def out_of_memory(error: Exception) -> OutsideError | None:
    """Return a readable error if ``error`` means that memory ran out, else None."""
    said = str(error)
    name = type(error).__name__
    ran_out = (
        isinstance(error, MemoryError)
        or name == "ResourceExhaustedError"  # TensorFlow's class; importing it takes seconds
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        # A shared library that does not fit into memory.
        or (isinstance(error, ImportError) and said.endswith(NOT_LOADED))
    )
    if not ran_out:
        return None
    # NumPy: "Unable to allocate 2 GiB for an array …". TensorFlow: "OOM when allocating tensor …",
    # between lines about its graph.
    lines = [line.strip() for line in said.splitlines()]
    wanted = next(
        (line.rstrip(".") for line in lines if "allocating" in line or "allocate" in line), ""
    )
    return OutsideError(
        f"out of memory{wanted and f': {wanted}'}. Close other programs or use less memory: a "
        "smaller --batch-size, fewer --jobs, or --limit N for fewer images. Every finished epoch "
        "of a run is kept."
    )


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the sentence " Did you mean …?" with the name most like ``name``, or ""."""
    close = _find_closest(name, known)
    return f" Did you mean {plain(close)!r}?" if close else ""


def suggest_path(path: Path) -> str:
    """Return the sentence " Did you mean …?" with the path whose last name is most like it."""
    try:
        beside = [found.name for found in path.parent.iterdir() if _is_alike(found, path)]
    except (OSError, ValueError):  # ValueError: a name that no file system has
        return ""
    close = _find_closest(path.name, beside)
    # Without the suffixes, which are alike: "notes.csv" does not mean "rot.csv".
    if not close or not _find_closest(path.stem, [Path(close).stem]):
        return ""
    return f" Did you mean {plain(str(path.with_name(close)))!r}?"


def _is_alike(found: Path, path: Path) -> bool:
    """Return whether the suffixes are alike: a mistyped one still begins with the same letter."""
    same_kind = found.suffix[:2].lower() == path.suffix[:2].lower()
    return same_kind and found.name != path.name  # the same name: a link to nothing


def _find_closest(name: str, known: Iterable[str]) -> str | None:
    import difflib  # here: only messages need it

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def describe_reason(error: BaseException) -> str:
    """Return the first line of a library's error, shortened for a message."""
    line = str(error).strip().partition("\n")[0]
    return plain(line).rstrip(".") or type(error).__name__
