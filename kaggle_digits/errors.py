"""The exceptions that the command line turns into exit codes, and texts in them. A leaf.

Imports nothing of ours.
"""


class KaggleDigitsError(Exception):
    """A failure with a message for the user: what was received, expected, and what to do next."""

    exit_code = 1


class InputError(KaggleDigitsError):
    """The user's command or data is wrong; the same call will fail again. Exit code 2."""

    exit_code = 2


class OutsideError(KaggleDigitsError):
    """Something outside failed (disk, network, Kaggle); trying again may help. Exit code 1."""

    exit_code = 1


MAX_SHOWN = 200  # characters of a text from outside


def shorten(text: str) -> str:
    """Return ``text`` short enough for a message, without what a terminal would act on."""
    short = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    return "".join(character if character.isprintable() else "�" for character in short)


def describe_reason(error: BaseException) -> str:
    """Return the first line of what a library says about a file, fit for a message."""
    line = str(error).strip().partition("\n")[0]
    return shorten(line).rstrip(".") or type(error).__name__
