"""Find the files of a data set in a zip, in whatever folder they lie."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.found import Found, problem_of
from kaggle_digits.datasets.layouts import LAYOUTS
from kaggle_digits.datasets.naming import candidates, join_names
from kaggle_digits.datasets.reading import member_names, open_zip, read_whole
from kaggle_digits.errors import InputError

ZIPPED = tuple(layout for layout in LAYOUTS if layout.zipped)


def find_in_zip(path: Path) -> Found:
    """Return the data set in the uppermost folder of a zip that holds a complete one.

    Raises:
        InputError: the zip is broken, or holds no complete data set, or several.

    """
    with open_zip(read_whole(path), str(path)) as archive:
        members = member_names(archive)
    for names in _by_depth(members):
        for layout in ZIPPED:
            matches = {parent: layout.match(names[parent]) for parent in names}
            whole = [
                tuple(f"{parent}{name}" for (name,) in match)
                for parent, match in matches.items()
                if all(len(fitting) == 1 for fitting in match)
            ]
            if len(whole) > 1:
                raise InputError(
                    f"{path} holds several data sets: {join_names(names[0] for names in whole)}. "
                    "Expected one: unpack the zip and give the folder of the right one."
                )
            if whole:
                return Found(layout, path.parent, (path.name,), whole[0])
    return _find_scattered(path, members)


def _by_depth(members: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the file names of each folder of a zip, grouped by depth, uppermost first."""
    folders: dict[str, list[str]] = {}
    for member in members:
        parent, slash, name = member.rpartition("/")
        folders.setdefault(parent + slash, []).append(name)
    for depth in sorted({parent.count("/") for parent in folders}):
        yield {parent: names for parent, names in folders.items() if parent.count("/") == depth}


def _find_scattered(path: Path, members: Sequence[str]) -> Found:
    """Return the data set whose files lie in several folders of a zip."""
    names = [member.rpartition("/")[2] for member in members]
    problems = []
    for layout in ZIPPED:
        matches = tuple(
            tuple(
                member
                for member, name in zip(members, names, strict=True)
                if name in set(candidates(spellings, names))
            )
            for spellings in layout.files
        )
        found = tuple(match[0] for match in matches if len(match) == 1)
        if len(found) == len(layout.files):
            return Found(layout, path.parent, (path.name,), found)
        problems.append(problem_of(path, layout, matches))
    if problem := next(filter(None, problems), None):
        raise problem
    raise DataError(
        f"{path} lacks train.csv and test.csv: it holds {join_names(members)}. Expected the "
        "competition's download, or a zip of MNIST's IDX files or CSVs. If it holds other data, "
        "unpack it and give the unpacked files."
    )
