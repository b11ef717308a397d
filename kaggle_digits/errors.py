"""The exceptions that the command line turns into exit codes. A leaf: imports nothing of ours."""


class KaggleDigitsError(Exception):
    """A failure with a message for the user: what was received, expected, and what to do next."""

    exit_code = 1


class InputError(KaggleDigitsError):
    """The user's command or data is wrong; the same call will fail again. Exit code 2."""

    exit_code = 2


class OutsideError(KaggleDigitsError):
    """Something outside failed (disk, network, Kaggle); trying again may help. Exit code 1."""

    exit_code = 1
