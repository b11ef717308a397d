"""Keep the files of folds where every node of a cluster can read and write them.

That is a folder on a shared disk, or an address of fsspec, such as ``s3://bucket/folder``. Then
checkpoints do not pass through the driver. Only the driver creates the folder of a run, so that a
node that does not share the disk is noticed.
"""

import contextlib
import hashlib
import socket
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kaggle_digits import files
from kaggle_digits.errors import InputError, OutsideError, describe_reason
from kaggle_digits.optional_packages import require_packages
from kaggle_digits.runs import Run

MARK = "run.txt"  # written by the driver
EXPECTED = "Expected a folder on a shared disk, or an address of fsspec such as s3://bucket/folder."


@dataclass(frozen=True)
class Storage:
    """A folder of named files, on a shared disk or in a store.

    Attributes:
        address: absolute path of a folder, or an address of fsspec.

    """

    address: str

    def inside(self, name: str) -> "Storage":
        """Return the folder ``name`` in this one."""
        return Storage(f"{self.address.rstrip('/')}/{name}")

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the content of those of the files ``names`` that exist.

        Raises:
            OutsideError: the storage cannot be read.

        """
        found = {}
        with self._in_words("read"):
            system, folder = _open(self.address)
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    found[name] = system.cat_file(f"{folder}/{name}")
        return found

    def write(self, contents: dict[str, bytes]) -> None:
        """Write files, in this order.

        Raises:
            OutsideError: the storage cannot be written to.

        """
        with self._in_words("write to"):
            system, folder = _open(self.address)
            system.makedirs(folder, exist_ok=True)
            for name, content in contents.items():
                _write(system, f"{folder}/{name}", content)

    def remove(self) -> None:
        """Remove the folder with its files."""
        with contextlib.suppress(Exception):  # what is left harms nothing
            system, folder = _open(self.address)
            system.rm(folder, recursive=True)

    @contextlib.contextmanager
    def _in_words(self, verb: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each store has its own exceptions
            raise OutsideError(
                f"cannot {verb} --storage {self.address}: {describe_reason(error)}. Every node and "
                "this machine must be able to. Then run the same command again to resume."
            ) from error


def resolve_address(address: str) -> str:
    """Check an address before anything is recorded of it, and return it with an absolute path.

    Raises:
        InputError: the store is unknown, a package is missing, or the address has a password.

    """
    if "://" in address and urlsplit(address).password is not None:
        raise InputError(
            "--storage contains a password, which the run would record. Expected an address "
            "without one. Give the store its credentials by its own variables or files, on every "
            "node."
        )
    require_packages(["fsspec"], extra="ray", needed_by=f"--storage {address}")
    if "://" not in address:
        return str(files.expand_home(address).absolute())
    try:
        _open(address)
    except (ImportError, ValueError) as error:  # no such store, or its package is missing
        raise InputError(f"--storage {address}: {describe_reason(error)}. {EXPECTED}") from error
    return address


def open_for(run: Run, address: str) -> Storage:
    """Create the run's own folder in the storage at ``address``.

    Its name contains a hash of the run's settings and start, so two runs never share a folder.

    Args:
        run: the open run.
        address: what `resolve_address` returned.

    Raises:
        OutsideError: the storage cannot be written to.

    """
    identity = f"{run.facts.started} {sorted(run.settings.flat().items())}"
    digest = hashlib.sha256(identity.encode()).hexdigest()
    own = Storage(address).inside(f"{run.folder.name}-{digest[:12]}")
    own.write({MARK: b"Checkpoints of a kaggle-digits run.\n"})
    return own


def require_shared(storage: Storage) -> None:
    """Raise an OutsideError unless this node reads what the driver wrote."""
    if MARK not in storage.read([MARK]):
        raise OutsideError(
            f"the node {socket.gethostname()} does not find the driver's files in --storage "
            f"{storage.address}. {EXPECTED} Every node must see the same files."
        )


def _open(address: str) -> tuple[Any, str]:
    """Return the file system of fsspec at ``address``, and the path in it."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(address)
    return system, str(path).rstrip("/")


def _write(system: Any, path: str, content: bytes) -> None:
    """Write a file, of which a killed process leaves nothing or everything."""
    from fsspec.implementations.local import LocalFileSystem

    if not isinstance(system, LocalFileSystem):
        system.pipe_file(path, content)  # stores replace a file at once
        return
    new = f"{path}.{uuid.uuid4().hex}"
    system.pipe_file(new, content)
    system.mv(new, path)
