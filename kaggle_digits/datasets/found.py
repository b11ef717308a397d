"""Define `Found`, the files of one data set on the disk or in a zip."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kaggle_digits.datasets import markers
from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.layouts import Layout
from kaggle_digits.datasets.naming import join_names
from kaggle_digits.datasets.reading import DataFile, DiskFile


@dataclass(frozen=True)
class Found:
    """The complete files of one layout, in the layout's order.

    Attributes:
        layout: the kind of data set.
        folder: the folder that contains the files.
        names: names of the files on the disk, relative to ``folder``.
        members: names of the files inside the zip that ``names`` holds; None if they are not in a
            zip.

    """

    layout: Layout
    folder: Path
    names: tuple[str, ...]
    members: tuple[str, ...] | None = None

    @cached_property
    def disk_files(self) -> tuple[DiskFile, ...]:
        """The files on the disk, in the order of ``names``."""
        return tuple(DiskFile(self.folder / name) for name in self.names)

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files of the data set, in the layout's order."""
        if self.members is None:
            return tuple(
                DataFile(disk, None, spellings)
                for disk, spellings in zip(self.disk_files, self.layout.files, strict=True)
            )
        (disk,) = self.disk_files
        return tuple(
            DataFile(disk, member, spellings)
            for member, spellings in zip(self.members, self.layout.files, strict=True)
        )

    @property
    def stands_in(self) -> str | None:
        """``sample`` or ``rehearsal`` if `data get` wrote these test images, else None."""
        marker = markers.read(self.folder)
        if marker.source not in markers.STAND_INS:
            return None
        same = marker.sha256.get(self.names[-1]) == self.disk_files[-1].sha256
        return marker.source if same else None


def problem_of(
    path: Path, layout: Layout, matches: tuple[tuple[str, ...], ...]
) -> DataError | None:
    """Return why the files in ``path`` are not one data set; None if none fits ``layout``."""
    present = [name for match in matches for name in match]
    missing = [
        spellings[0] for spellings, match in zip(layout.files, matches, strict=True) if not match
    ]
    if not present:
        return None
    if missing:
        problem = (
            f"holds {join_names(sorted(present))} but lacks {' and '.join(missing)}. "
            f"Expected {len(layout.files)} files."
        )
    else:
        usual, several = next(
            (spellings[0], match)
            for spellings, match in zip(layout.files, matches, strict=True)
            if len(match) > 1
        )
        problem = (
            f"holds {' and '.join(several)}. Expected one of them: rename the right one to "
            f"{usual}, or move the others away."
        )
    return DataError(f"{path} {problem}", downloadable=layout.downloadable)
