"""Access a run's folder safely: it may come from somebody else. Standard library only.

Links and special files are rejected: they may point outside the folder, block for ever or have no
end. `runs` interprets the content of the files.
"""

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kaggle_digits import files, safe_reading
from kaggle_digits.errors import InputError, OutsideError

FOLD = re.compile(r"fold-[1-9]\d{0,4}")
LOCK = ".lock"
# Temporary files that earlier versions left behind when they were killed.
ABANDONED = re.compile(
    r"\.(run|folds|checkpoint|model|history|oof|test|finished|metrics|submission)\.\d+\.tmp"
    r"\.(json|npy|keras|csv|npz)|\.(train|test)-(images|labels|ids)\.tmp\.npy"
)
ADVICE = (
    "Expected the file that `train` or `cv` wrote. Remove the run's folder and train again, or "
    "choose another run."
)
MISSING = "no such file"
NO_LINKS = (
    "It may lead out of the run's folder, so it is not used. Remove it, or choose another run."
)


class DamagedRunError(InputError):
    """A file of a run does not have the content that this program writes.

    Attributes:
        path: the file.
        reason: what is wrong with it.

    """

    def __init__(self, path: Path, reason: object, advice: str = ADVICE) -> None:
        self.path, self.reason = path, str(reason)
        what = "is missing" if reason == MISSING else f"is damaged: {reason}"
        super().__init__(f"{path} {what}. {advice}")


class UnreadableRunError(DamagedRunError):
    """The system does not allow reading a file of a run."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.path, self.reason = path, str(error.strerror or error)
        InputError.__init__(
            self,
            f"cannot read {path}: {self.reason}. Check the path, its permissions and the disk, "
            "then run the same command again.",
        )
        if error.errno in files.DEVICE_FAULTS:
            self.exit_code = OutsideError.exit_code


def unreadable(path: Path, error: OSError, advice: str = ADVICE) -> DamagedRunError:
    """Return the error for a file that could not be opened."""
    if error.errno == errno.ENOENT:
        return DamagedRunError(path, MISSING, advice)
    if error.errno == errno.EINVAL:  # a special file
        return DamagedRunError(path, error.strerror, advice)
    return UnreadableRunError(path, error)


@dataclass(frozen=True)
class RunFolder:
    """The files in a run's folder."""

    folder: Path

    def inside(self, name: str) -> Path:
        """Return the path of ``name`` in the folder. It need not exist.

        Args:
            name: relative path such as ``fold-1/model.keras``; never text read from a file.

        Raises:
            DamagedRunError: the path or one of its folders is a link or a special file, or may
                not be accessed.

        """
        path = self.folder
        for part in Path(name).parts:
            path /= part
            try:
                kind = safe_reading.special_kind(path)
            except OSError as error:
                raise UnreadableRunError(path, error) from error
            if kind is not None:
                reason = f"it is {kind}; expected a regular file or folder"
                raise DamagedRunError(path, reason, NO_LINKS)
        return path

    def has(self, name: str) -> bool:
        """Return whether the file ``name`` exists in the folder.

        Raises:
            DamagedRunError: it is not a regular file.

        """
        path = self.inside(name)
        if path.is_dir():
            raise DamagedRunError(path, "it is a folder; expected a regular file")
        return path.exists()

    def folders(self) -> list[Path]:
        """Return the run's folder and the existing folders of its folds, without links."""
        folds = [path for path in self.folder.iterdir() if FOLD.fullmatch(path.name)]
        return [self.folder, *(path for path in folds if path.is_dir() and not path.is_symlink())]

    def require_no_links(self) -> None:
        """Raise DamagedRunError if there is a link or a special file where this program writes."""
        for folder in self.folders():
            for path in folder.iterdir():
                self.inside(str(path.relative_to(self.folder)))

    def remove_abandoned(self) -> None:
        """Remove the temporary files of killed processes, which have unmistakable names."""
        for folder in self.folders():
            files.remove_abandoned(folder)
            for path in folder.iterdir():
                if ABANDONED.fullmatch(path.name) and path.is_file():
                    path.unlink()


def require_ours_or_empty(folder: Path, kind: Literal["run", "study"]) -> None:
    """Raise InputError if ``folder`` is a file, or holds files but no run or study."""
    if folder.is_file():
        raise InputError(
            f"--{kind} {folder} is a file. Expected the folder of a {kind} or a new folder."
        )
    if not folder.is_dir() or (folder / f"{kind}.json").exists():
        return
    foreign = [path.name for path in folder.iterdir() if not is_ours(path.name)]
    if foreign:
        raise InputError(
            f"{folder} is not a {kind}, and not empty: it holds {foreign[0]!r}. Expected the "
            f"folder of a {kind} or a new folder. Choose another --{kind}."
        )


def is_ours(name: str) -> bool:
    """Return whether only this program uses the name, even before the folder has its record."""
    return name == LOCK or any(pattern.fullmatch(name) for pattern in (files.WORKSPACE, ABANDONED))
