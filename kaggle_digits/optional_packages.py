"""Packages that are installed only with an extra, such as ``pip install 'kaggle-digits[onnx]'``."""

import importlib.util
from collections.abc import Sequence

from kaggle_digits.errors import InputError


def require_packages(packages: Sequence[str], *, extra: str, needed_by: str) -> None:
    """Raise an error unless all packages are installed.

    Args:
        packages: names as they are imported.
        extra: name of the extra that installs them.
        needed_by: what needs them, as the subject of the message.

    Raises:
        InputError: a package is not installed.

    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{needed_by} needs {', '.join(missing)}, which is not installed. "
            f"Install it with: pip install 'kaggle-digits[{extra}]'"
        )
