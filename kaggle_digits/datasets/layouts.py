"""Which files make up a data set, and which of them lie in a folder. Reads no images.

A new kind of data is one more entry in `LAYOUTS` and one more reader in `loading`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits import typed_json
from kaggle_digits.errors import InputError

MARKER = "source.json"


@dataclass(frozen=True)
class Layout:
    """Files that make up one data set.

    Attributes:
        name: what `loading` chooses the reader by.
        files: the spellings of each file's name below the data set's folder, the usual one first.
            The last file holds the test images.

    """

    name: str
    files: tuple[tuple[str, ...], ...]

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name that a file of this layout may have."""
        return tuple(name for spellings in self.files for name in spellings)


def _idx(stem: str, kind: str) -> tuple[str, ...]:
    return tuple(f"{stem}{dot}{kind}{suffix}" for suffix in ("", ".gz") for dot in "-.")


CSV = Layout("csv", (("train.csv", "train.csv.gz"), ("test.csv", "test.csv.gz")))
ZIP = Layout("zip", (("digit-recognizer.zip",),))
MNIST_NPZ = Layout("npz", (("mnist.npz",),))
MNIST_IDX = Layout(
    "idx",
    (
        _idx("train-images", "idx3-ubyte"),
        _idx("train-labels", "idx1-ubyte"),
        _idx("t10k-labels", "idx1-ubyte"),
        _idx("t10k-images", "idx3-ubyte"),
    ),
)

CIFAR10_FOLDER = "cifar-10-batches-py"
CIFAR10_FILES = ("batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
CIFAR10 = Layout("cifar10", tuple((f"{CIFAR10_FOLDER}/{name}", name) for name in CIFAR10_FILES))
CIFAR10_ARCHIVE = Layout("tar", (("cifar-10-python.tar.gz", f"{CIFAR10_FOLDER}.tar.gz"),))

# Where several lie in one folder, the first counts: unpacked files before the zip they came from.
LAYOUTS = (CSV, ZIP, MNIST_NPZ, MNIST_IDX, CIFAR10, CIFAR10_ARCHIVE)

GOOD_COPY = "Take a good copy with: kaggle-digits data get --from PATH"


@dataclass(frozen=True)
class Found:
    """The files of one layout, all there, in the layout's order.

    Attributes:
        layout: what they are.
        folder: where they lie, and where `data get` would have left its note.
        names: of the files, below the folder.

    """

    layout: Layout
    folder: Path
    names: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files' paths."""
        return tuple(self.folder / name for name in self.names)


@dataclass(frozen=True)
class Marker:
    """What `data get` noted about the files that it put into a folder.

    Attributes:
        source: as in `Splits.source`.
        test_sha256: of the file that holds the test images: the note counts for that file alone.
        files: the names of the files that were put there.

    """

    source: str
    test_sha256: str
    files: tuple[str, ...]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> InputError:
    """Return the error for a file that is there but cannot be opened or read."""
    return InputError(
        f"cannot read {path}: {error.strerror or error}. Expected a file that you may read; "
        "change its permissions or name another one."
    )


def read_bytes(path: Path) -> bytes:
    """Return a file's content."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def pieces(folder: Path) -> list[str]:
    """Return the name below ``folder`` of every file that belongs to some layout, whole or not."""
    names = (name for layout in LAYOUTS for name in layout.spellings)
    return [name for name in names if (folder / name).is_file()]


def complete(layout: Layout, folder: Path) -> Found | None:
    """Return the files of ``layout`` if all of them lie in ``folder``."""
    names = []
    for spellings in layout.files:
        name = next((name for name in spellings if (folder / name).is_file()), None)
        if name is None:
            return None
        names.append(name)
    return Found(layout, folder, tuple(names))


def find(folder: Path) -> Found | None:
    """Return the data set that counts in ``folder``; None if nothing of any layout is there.

    The embedded sample stands in until there is something better, so it comes last: whoever puts
    the competition's zip beside it gets the competition's data.

    Raises:
        InputError: part of a data set is there and no whole one.

    """
    found = [found for layout in LAYOUTS if (found := complete(layout, folder))]
    if not found and (partial := pieces(folder)):
        raise InputError(_incomplete(folder, partial))
    return min(found, key=lambda one: source_noted(one) == "sample", default=None)


def _incomplete(folder: Path, present: list[str]) -> str:
    layout = next(layout for layout in LAYOUTS if present[0] in layout.spellings)
    missing = [spellings[0] for spellings in layout.files if set(present).isdisjoint(spellings)]
    advice = get_again() if layout == CSV else GOOD_COPY
    return (
        f"{folder} holds {', '.join(sorted(present))} but lacks {' and '.join(missing)}. "
        f"Expected {len(layout.files)} files. {advice}"
    )


def get_again() -> str:
    """Return what to do about data that is missing or broken."""
    return (
        "Download it again with: kaggle-digits data get --source kaggle, "
        "or take a good copy with: kaggle-digits data get --from PATH"
    )


def read_marker(folder: Path) -> Marker | None:
    """Return the note in ``folder``; None where there is none that can be understood."""
    try:
        noted = typed_json.parse((folder / MARKER).read_text(encoding="utf-8"))
        return typed_json.build(Marker, noted, strict=False)
    except (OSError, ValueError):
        return None


def source_noted(found: Found) -> str | None:
    """Return where ``found`` came from if `data get` noted it for exactly this test file."""
    marker = read_marker(found.folder)
    if marker is None or found.names[-1] not in marker.files:
        return None
    return marker.source if marker.test_sha256 == file_sha256(found.files[-1]) else None
