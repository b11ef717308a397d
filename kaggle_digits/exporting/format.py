"""Define `Format`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_digits.exporting.predictor import Predictor


def only_itself(path: Path) -> tuple[Path, ...]:
    """Return the files of a format with a single file."""
    return (path,)


def anything_goes(path: Path) -> None:
    """Allow any file of that name to be replaced, because its suffix marks it as a model."""


@dataclass(frozen=True)
class Format:
    """A model format.

    Attributes:
        name: its name for ``--format``.
        suffix: the suffix of its files.
        write: writes a Keras model to a path that does not exist yet.
        open_model: opens a file; raises InputError if it is not of this format.
        example: Python code that loads it, with the placeholders ``{path}`` and ``{weights}``.
        backends: the Keras backends that can write it.
        write_needs: optional packages that writing needs.
        open_needs: optional packages that opening needs.
        needs_layers: whether its files only name custom layers, so that opening needs their code.
        files: returns all files of the export at a path, the path itself first.
        require_replaceable: raises InputError for a file that must not be replaced.

    """

    name: str
    suffix: str
    write: Callable[[Any, Path], None]
    open_model: Callable[[Path], Predictor]
    example: str
    backends: tuple[str, ...] = ("tensorflow",)
    write_needs: tuple[str, ...] = ()
    open_needs: tuple[str, ...] = ()
    needs_layers: bool = False
    files: Callable[[Path], tuple[Path, ...]] = only_itself
    require_replaceable: Callable[[Path], None] = anything_goes

    def loading(self, path: Path, layers: Path | None = None) -> str:
        """Return Python code that loads the export at ``path``.

        Args:
            path: the export.
            layers: the Python file that must be run first; None if `needs_layers` is false or the
                export has no custom layers.

        """
        code = self.example.format(path=path, weights=self.files(path)[-1])
        if not layers:
            return code
        return f'import runpy\nrunpy.run_path("{layers}")  # registers its custom layers\n{code}'
