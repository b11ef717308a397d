"""Find the files of a data set in a folder. Reads no images.

Exact names count before names that a browser or a file manager changed. Where several files may be
meant, none is chosen: the message names them.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kaggle_digits.datasets.advice import advising
from kaggle_digits.datasets.found import Found, problem_of
from kaggle_digits.datasets.layouts import (
    CIFAR10_ARCHIVE,
    CIFAR10_FOLDER,
    CSV,
    LAYOUTS,
    MNIST_CSV,
    MNIST_NPZ,
    ZIPS,
    Layout,
)
from kaggle_digits.datasets.naming import candidates, join_names, usual_name
from kaggle_digits.datasets.reading import ZIP, unreadable
from kaggle_digits.datasets.zips import find_in_zip
from kaggle_digits.errors import InputError

KNOWN = (
    "train.csv and test.csv (also gzipped or zipped), digit-recognizer.zip, mnist.npz, MNIST's IDX "
    "files or mnist_train.csv and mnist_test.csv (also in a zip), cifar-10-batches-py or "
    "cifar-10-python.tar.gz"
)
# One file that is the whole data set, whatever it is called before the end of its name.
WHOLE = ((".npz", MNIST_NPZ), ((".tar.gz", ".tgz"), CIFAR10_ARCHIVE))


def find(folder: Path, into: Path | None = None) -> Found | None:
    """Return the data set that counts in ``folder``; None if no file of any layout is there.

    The embedded sample stands in until there is something better, so it comes last: the
    competition's zip put beside it counts.

    Args:
        folder: where to look.
        into: the input folder, for the advice in messages; None if that is ``folder``.

    Raises:
        InputError: part of a data set is there and no whole one, or it is unclear which is meant.

    """
    names = _names(folder)
    with advising(into or folder):
        candidates_ = _search(folder, names)
        found = next(candidates_, None)
        if found is not None and found.stands_in == "sample":
            found = next(candidates_, found)
        if found is None:
            problems = (problem_of(folder, layout, layout.match(names)) for layout in LAYOUTS)
            if problem := next(filter(None, problems), None):
                raise problem
    return found


def find_at(path: Path, into: Path) -> Found:
    """Return the data set that the user names with ``path``: a folder, a whole file, or one of it.

    Args:
        path: what was named.
        into: the input folder, for the advice in messages.

    Raises:
        InputError: nothing is there, it is incomplete, or nothing known.

    """
    if not path.exists():
        raise InputError(f"--from {path}: no such file or folder. Expected {KNOWN}.")
    if path.is_file():
        found = _find_file(path, into)
    else:
        found = find(path, into) if path.is_dir() else None
    if found is None:
        kind = "a folder" if path.is_dir() else "a file"
        is_csv = ".csv" in usual_name(path.name)
        rename = f" Rename it to one of {', '.join((*CSV.usual, *MNIST_CSV.usual))}." * is_csv
        raise InputError(
            f"--from {path}: received {kind} without known data. Expected {KNOWN}, or a folder "
            f"with one of them.{rename}{_holds(path)}"
        )
    return found


def describe_nothing(folder: Path) -> str:
    """Return what is in ``folder``, where `find` found nothing."""
    if not folder.is_dir():
        return f"{folder} {'is no folder' if folder.exists() else 'does not exist'}."
    return f"{folder} holds no data that is known here.{_holds(folder)}"


def pieces(folder: Path) -> list[str]:
    """Return the name below ``folder`` of every file that a layout spells so, whole or not."""
    names = [name for layout in LAYOUTS for name in layout.spellings]
    zips = dict.fromkeys(ZIPS.values())
    return [name for name in (*names, *zips) if (folder / name).is_file()]


# ---------------------------------------------------------------------------------------- folders


def _names(folder: Path) -> list[str]:
    """Return the files in ``folder``, and those in CIFAR-10's folder in it."""
    names = []
    try:
        if folder.is_dir():
            names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
        if (inner := folder / CIFAR10_FOLDER).is_dir():
            names += sorted(f"{CIFAR10_FOLDER}/{entry.name}" for entry in os.scandir(inner))
    except OSError as error:
        raise unreadable(folder, error) from error
    return names


def _search(folder: Path, names: Sequence[str]) -> Iterator[Found]:
    """Yield every data set in ``folder``, exact names first, in the order of `LAYOUTS`."""
    for exact in (True, False):
        for layout in LAYOUTS:
            found = tuple(match[0] for match in layout.match(names) if len(match) == 1)
            if len(found) == len(layout.files) and exact == set(found).issubset(layout.spellings):
                yield Found(layout, folder, found)
            if layout is CSV:
                yield from _zips(folder, names, exact=exact)


def _zips(folder: Path, names: Sequence[str], *, exact: bool) -> Iterator[Found]:
    """Yield the data sets in zips: of the exact names, or the only other one."""
    usual = dict.fromkeys(ZIPS.values())
    if exact:
        yield from (find_in_zip(folder / name) for name in usual if name in names)
        return
    files = {name for layout in LAYOUTS for name in layout.spellings}
    zips = [
        name
        for name in names
        if usual_name(name).endswith(".zip") and not {name, usual_name(name)} & {*usual, *files}
    ]
    renamed = [name for name in names if usual_name(name) in usual and name not in usual]
    if len(renamed) == 1:
        yield find_in_zip(folder / renamed[0])
        return
    found = []
    for name in renamed or zips:
        with contextlib.suppress(InputError):  # somebody's zip of something else
            found.append(find_in_zip(folder / name))
    if len(found) > 1:
        raise InputError(
            f"{folder} holds {join_names(one.names[0] for one in found)}, and each of them holds "
            f"data. Expected one of them: rename the right one to {ZIPS[found[0].layout]}."
        )
    yield from found


def _holds(folder: Path) -> str:
    """Return what is in a folder instead of data, and where below it data is; empty for a file."""
    if not folder.is_dir():
        return ""
    names = _names(folder)
    text = f" It holds {join_names(names)}."
    for name in names:
        try:
            if usual_name(name).endswith(".zip"):
                find_in_zip(folder / name)
        except InputError as error:
            return f"{text} {error}"
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        with contextlib.suppress(InputError):
            if not inner.name.startswith(".") and next(_search(inner, _names(inner)), None):
                return f"{text} {inner} holds data: name that folder instead."
    return text


# ------------------------------------------------------------------------------------- one file


def _find_file(path: Path, into: Path) -> Found | None:
    """Return the data set that the file ``path`` is, or is a part of; None if it is none."""
    name = usual_name(path.name)
    for layout in LAYOUTS:
        if len(layout.files) > 1 and name in layout.spellings:
            return _find_others(path, layout, into)
    for suffixes, layout in WHOLE:
        if name.endswith(suffixes):
            return Found(layout, path.parent, (path.name,))
    try:
        with path.open("rb") as file:
            is_zip = name.endswith(".zip") or file.read(4) in ZIP
    except OSError as error:
        raise unreadable(path, error) from error
    with advising(into):
        return find_in_zip(path) if is_zip else None


def _find_others(path: Path, layout: Layout, into: Path) -> Found:
    """Return the data set of ``layout`` that the file ``path`` is one of."""
    own = next(spelled for spelled in layout.files if usual_name(path.name) in spelled)
    names = _names(path.parent)
    matches = tuple(
        (path.name,) if spelled is own else candidates(spelled, names) for spelled in layout.files
    )
    found = tuple(match[0] for match in matches if len(match) == 1)
    if len(found) == len(layout.files):
        return Found(layout, path.parent, found)
    problem = problem_of(path.parent, layout, matches)
    assert problem is not None  # noqa: S101 — ``path`` itself is one of the matches
    with advising(into):
        raise problem
