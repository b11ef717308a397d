"""What a format is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_digits.exporting.predictor import Predictor


def only_itself(path: Path) -> tuple[Path, ...]:
    """Return the files of a format that has one."""
    return (path,)


def anything_goes(path: Path) -> None:
    """Let an earlier file of that name be replaced: its suffix says that it is a model."""


@dataclass(frozen=True)
class Format:
    """One way to write a model down.

    Attributes:
        name: as ``--format`` knows it.
        suffix: how the name of the file ends.
        write: puts a Keras model at a path that does not exist yet.
        opened: reads it back; raises InputError for anything else.
        example: the Python lines that load it elsewhere, ``{path}`` and ``{weights}`` to be filled.
        backends: of Keras, on which it can be written.
        write_needs: packages beyond those that are always installed.
        open_needs: the same for reading.
        files: what makes up the export at a path; the first of them is the path itself.
        require_replaceable: raises InputError for what must not be replaced.

    """

    name: str
    suffix: str
    write: Callable[[Any, Path], None]
    opened: Callable[[Path], Predictor]
    example: str
    backends: tuple[str, ...] = ("tensorflow",)
    write_needs: tuple[str, ...] = ()
    open_needs: tuple[str, ...] = ()
    files: Callable[[Path], tuple[Path, ...]] = only_itself
    require_replaceable: Callable[[Path], None] = anything_goes

    def loading(self, path: Path) -> str:
        """Return the Python lines that load the export at ``path``."""
        return self.example.format(path=path, weights=self.files(path)[-1])
