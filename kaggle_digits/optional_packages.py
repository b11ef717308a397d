"""Packages that are installed only with an extra, such as ``pip install 'kaggle-digits[onnx]'``."""

import contextlib
import importlib.util
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

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
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"{needed_by} needs {', '.join(missing)}, which {verb} not installed. "
            f"Install it with: {_name_pip()} install 'kaggle-digits[{extra}]'"
        )


def _name_pip() -> str:
    """Return the command of the pip that installs packages for this Python."""
    python = Path(sys.executable or "python")
    found = shutil.which("pip")
    if not python.is_absolute() or (found is not None and Path(found).parent == python.parent):
        return "pip"
    shown = python
    with contextlib.suppress(OSError, ValueError):  # the folder is gone, or Python is elsewhere
        shown = python.relative_to(Path.cwd())
    return f"{shlex.quote(str(shown))} -m pip"
