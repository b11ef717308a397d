"""The versions, machine and time that a run records."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kaggle_digits
from kaggle_digits import __version__


def environment() -> dict[str, Any]:
    """Return the versions that a run's result depends on, and the git commit if it is known."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {"kaggle-digits": __version__}  # an editable installation's metadata may be old
    for package in ("keras", "tensorflow", "jax", "torch", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "git_commit": _git_commit(),
        **versions,
    }


def _git_commit() -> str | None:
    import subprocess

    from kaggle_digits.credentials import environment_without_credentials

    here = Path(kaggle_digits.__file__).resolve().parent.parent
    if not (here / ".git").exists():  # an installed package is identified by its version
        return None
    try:
        result = subprocess.run(  # noqa: S603 — nothing in it comes from outside
            ["git", "-C", str(here), "rev-parse", "HEAD"],  # noqa: S607 — the user's own git
            env=environment_without_credentials(),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # git is missing or not executable
        return None
    return result.stdout.strip() or None


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
