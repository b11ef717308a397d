"""Define which files make up a data set. Nothing here reads the disk.

A new kind of data needs an entry in `LAYOUTS` and a reader in `loading`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kaggle_digits.datasets.naming import candidates


@dataclass(frozen=True)
class Layout:
    """The files that make up one data set.

    Attributes:
        name: the name by which `loading` chooses the reader.
        files: for each file the accepted names relative to the folder, the usual one first. The
            last file holds the test images.
        downloadable: whether `data get` can download this data.
        zipped: whether the files may also lie inside a zip.

    """

    name: str
    files: tuple[tuple[str, ...], ...]
    downloadable: bool = False
    zipped: bool = True

    @property
    def spellings(self) -> tuple[str, ...]:
        """All accepted file names of this layout."""
        return tuple(name for spellings in self.files for name in spellings)

    @property
    def usual(self) -> tuple[str, ...]:
        """The usual names of the files."""
        return tuple(spellings[0] for spellings in self.files)

    def match(self, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return for each file which of ``names`` fit it: none, one, or several."""
        return tuple(candidates(spellings, names) for spellings in self.files)


def _packed(name: str) -> tuple[str, ...]:
    """Return the names of a CSV: plain, gzipped, and zipped as Kaggle's client saves one file."""
    return name, f"{name}.gz", f"{name}.zip"


def _idx(stem: str, kind: str) -> tuple[str, ...]:
    return tuple(f"{stem}{dot}{kind}{suffix}" for suffix in ("", ".gz", ".zip") for dot in "-.")


CSV = Layout("csv", (_packed("train.csv"), _packed("test.csv")), downloadable=True)
MNIST_NPZ = Layout("mnist-npz", (("mnist.npz",),), zipped=False)
MNIST_IDX = Layout(
    "mnist-idx",
    (
        _idx("train-images", "idx3-ubyte"),
        _idx("train-labels", "idx1-ubyte"),
        _idx("t10k-labels", "idx1-ubyte"),
        _idx("t10k-images", "idx3-ubyte"),
    ),
)
MNIST_CSV = Layout("mnist-csv", (_packed("mnist_train.csv"), _packed("mnist_test.csv")))

CIFAR10_FOLDER = "cifar-10-batches-py"
CIFAR10_FILES = ("batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
CIFAR10 = Layout(
    "cifar10",
    tuple((f"{CIFAR10_FOLDER}/{name}", name) for name in CIFAR10_FILES),
    zipped=False,
)
CIFAR10_ARCHIVE = Layout(
    "cifar10-archive", (("cifar-10-python.tar.gz", f"{CIFAR10_FOLDER}.tar.gz"),), zipped=False
)

# If a folder holds several layouts, the first one is used.
LAYOUTS = (CSV, MNIST_NPZ, MNIST_IDX, MNIST_CSV, CIFAR10, CIFAR10_ARCHIVE)

# What a zip of a data set is called in the input folder, by the layout inside. It comes after CSVs
# that lie there unpacked.
ZIPS = {CSV: "digit-recognizer.zip", MNIST_IDX: "mnist.zip", MNIST_CSV: "mnist.zip"}

NAMES = frozenset(name for layout in LAYOUTS for name in layout.spellings) | set(ZIPS.values())
