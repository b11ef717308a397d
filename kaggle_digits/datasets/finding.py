"""Find the files of a data set in a folder. Reads no images.

Exact names take precedence over names that a browser or a file manager changed. If several files
fit, none is chosen and the error names them.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kaggle_digits.datasets import markers
from kaggle_digits.datasets.advice import add_advice
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
from kaggle_digits.errors import InputError, suggest_path

KNOWN = (
    "train.csv and test.csv (also gzipped or zipped), digit-recognizer.zip, mnist.npz, MNIST's IDX "
    "files or mnist_train.csv and mnist_test.csv (also in a zip), cifar-10-batches-py or "
    "cifar-10-python.tar.gz"
)
# A single file that is a whole data set, recognised by the end of its name.
WHOLE = ((".npz", MNIST_NPZ), ((".tar.gz", ".tgz"), CIFAR10_ARCHIVE))


def find(folder: Path, into: Path | None = None) -> Found | None:
    """Return the data set in ``folder``; None if no file of any layout is there.

    The embedded sample has the lowest precedence: if the competition's zip lies beside it, the zip
    is used.

    Args:
        folder: the folder to search.
        into: the input folder that messages name; None if it is ``folder``.

    Raises:
        InputError: only a part of a data set is there, or several files fit.

    """
    names = _names(folder)
    with add_advice(into or folder):
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
    """Return the data set at ``path``: a folder, a file, or one of several files of a data set.

    Args:
        path: the path that the user gave.
        into: the input folder that messages name.

    Raises:
        InputError: nothing exists there, it is incomplete or of an unknown kind, or `data get` has
            not finished filling its folder.

    """
    if not path.exists():
        raise InputError(
            f"--from {path}: no such file or folder.{suggest_path(path)} Expected {KNOWN}."
        )
    found = None
    if path.is_file():
        found = _find_file(path, into)
    elif path.is_dir():
        markers.require_filled(path, list_pieces(path))
        found = find(path, into)
    if found is None:
        kind = "a folder" if path.is_dir() else "a file"
        is_csv = ".csv" in usual_name(path.name)
        rename = f" Rename it to one of {', '.join((*CSV.usual, *MNIST_CSV.usual))}." * is_csv
        raise InputError(
            f"--from {path}: received {kind} without data that kaggle-digits can read. Expected "
            f"{KNOWN}, or a folder with one of them.{rename}{_describe_content(path)}"
        )
    return found


def describe_nothing(folder: Path) -> str:
    """Return a sentence about the content of ``folder``, in which `find` found no data."""
    if not folder.is_dir():
        return f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}."
    return f"{folder} holds no data that kaggle-digits can read.{_describe_content(folder)}"


def list_pieces(folder: Path) -> list[str]:
    """Return the files in ``folder`` that have a name of some layout, complete or not."""
    names = [name for layout in LAYOUTS for name in layout.spellings]
    zips = dict.fromkeys(ZIPS.values())
    return [name for name in (*names, *zips) if (folder / name).is_file()]


# ---------------------------------------------------------------------------------------- folders


def _names(folder: Path) -> list[str]:
    """Return the names of the files in ``folder`` and in its subfolder of CIFAR-10."""
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
    """Yield the data sets in zips: those with exact names, or the only one with another name."""
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
        with contextlib.suppress(InputError):  # a zip of something else
            found.append(find_in_zip(folder / name))
    if len(found) > 1:
        raise InputError(
            f"{folder} holds {join_names(zipped.names[0] for zipped in found)}, and each of them "
            f"holds data. Expected one of them: rename the right one to {ZIPS[found[0].layout]}."
        )
    yield from found


def _describe_content(folder: Path) -> str:
    """Return which files a folder holds, and which subfolder holds data; empty for a file."""
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
                return f"{text} {inner} holds data: give that folder instead."
    return text


# ------------------------------------------------------------------------------------- one file


def _find_file(path: Path, into: Path) -> Found | None:
    """Return the data set that the file ``path`` belongs to; None if it belongs to none."""
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
    with add_advice(into):
        return find_in_zip(path) if is_zip else None


def _find_others(path: Path, layout: Layout, into: Path) -> Found:
    """Return the data set of ``layout`` that the file ``path`` belongs to."""
    markers.require_filled(path.parent, list_pieces(path.parent))
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
    with add_advice(into):
        raise problem
