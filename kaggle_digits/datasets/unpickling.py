"""Parse a Python 2 pickle as data: nothing in it is imported or called.

The standard library's `pickletools` splits the file into instructions. This module executes only
the few that a dictionary of lists, numbers and byte arrays needs, and rejects all others. Python's
own Unpickler is unsafe even with a restrictive `find_class`: a file can request gigabytes by a
`memo` number, use keys that take years to hash, or set state on our functions.
"""

import math
import pickletools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

# Limits the memory that a malicious file can request to less than 100 MB.
MAX_INSTRUCTIONS = 1_000_000

RECONSTRUCT, NDARRAY, DTYPE = (
    "numpy.core.multiarray _reconstruct",
    "numpy ndarray",
    "numpy dtype",
)
ARRAY_VERSION = 1  # version of the state that NumPy pickles for an array


class UnpicklingError(Exception):
    """The bytes are not a pickle, or hold more than data."""


def read_pickle(data: bytes) -> dict[bytes, Any]:
    """Return the dictionary in a pickle of protocol 2 written by Python 2.

    Its keys are bytes; its values are bytes, str, int, bool, None, lists, tuples, dictionaries and,
    at the top level, arrays uint8 ``[n, m]``, read-only.

    Raises:
        UnpicklingError: it is not such a pickle, is truncated, or holds anything else. The message
            quotes only the names of functions that the pickle would have called.

    """
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns about backslashes in names
            for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
                if count == MAX_INSTRUCTIONS:
                    raise UnpicklingError(f"more than {MAX_INSTRUCTIONS:,} instructions")
                machine.follow(opcode.name, argument)
        value = machine.stack.pop()
    except ValueError as error:  # raised by pickletools
        raise UnpicklingError("it is truncated or not a pickle") from error
    except LookupError as error:
        raise UnpicklingError("its instructions do not fit together") from error
    if not isinstance(value, dict):
        raise UnpicklingError("it does not hold a dictionary")
    return {
        key: entry.values if isinstance(entry, _Array) else entry for key, entry in value.items()
    }


class _Named:
    """The name of a NumPy function or class; never the object itself."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Uint8:
    """The dtype uint8, the only one that an array may have."""


class _Array:
    """An array that the pickle creates empty and fills by a later instruction."""

    def __init__(self) -> None:
        self.values: npt.NDArray[np.uint8] | None = None


class _Machine:
    """The stack, the marks and the memo that a pickle's instructions work on."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}  # a dictionary, so that a large number takes no memory
        self.instructions: dict[str, Callable[[Any], object]] = {
            "PROTO": lambda _: None,
            "STOP": lambda _: None,
            "NONE": lambda _: self.stack.append(None),
            "NEWTRUE": lambda _: self.stack.append(True),
            "NEWFALSE": lambda _: self.stack.append(False),
            "BININT": self.stack.append,
            "BININT1": self.stack.append,
            "BININT2": self.stack.append,
            "LONG1": self.stack.append,
            "BINUNICODE": self.stack.append,
            "BINSTRING": lambda text: self.stack.append(text.encode("latin-1")),
            "SHORT_BINSTRING": lambda text: self.stack.append(text.encode("latin-1")),
            "EMPTY_DICT": lambda _: self.stack.append({}),
            "EMPTY_LIST": lambda _: self.stack.append([]),
            "EMPTY_TUPLE": lambda _: self.stack.append(()),
            "MARK": lambda _: self.marks.append(len(self.stack)),
            "BINPUT": self.remember,
            "LONG_BINPUT": self.remember,
            "BINGET": lambda number: self.stack.append(self.memo[number]),
            "LONG_BINGET": lambda number: self.stack.append(self.memo[number]),
            "TUPLE": lambda _: self.stack.append(tuple(self.since_mark())),
            "TUPLE1": lambda _: self.stack.append(tuple(self.last(1))),
            "TUPLE2": lambda _: self.stack.append(tuple(self.last(2))),
            "TUPLE3": lambda _: self.stack.append(tuple(self.last(3))),
            "APPEND": lambda _: self.append(self.last(1)),
            "APPENDS": lambda _: self.append(self.since_mark()),
            "SETITEM": lambda _: self.set_items(self.last(2)),
            "SETITEMS": lambda _: self.set_items(self.since_mark()),
            "GLOBAL": self.name,
            "REDUCE": lambda _: self.reduce(),
            "BUILD": lambda _: self.build(),
        }

    def follow(self, instruction: str, argument: Any) -> None:
        if instruction not in self.instructions:
            raise UnpicklingError(f"it holds the instruction {instruction}, which is not allowed")
        self.instructions[instruction](argument)

    def last(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def remember(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise UnpicklingError("it appends values to something that is not a list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target, keys = self.stack[-1], values[::2]
        if not isinstance(target, dict) or len(values) % 2:
            raise UnpicklingError("it sets entries of something that is not a dictionary")
        # Hashing a deeply nested tuple as a key could take years.
        if not all(isinstance(key, bytes) for key in keys):
            raise UnpicklingError("it has a dictionary with keys that are not byte strings")
        target.update(zip(keys, values[1::2], strict=True))

    def name(self, name: str) -> None:
        if name not in (RECONSTRUCT, NDARRAY, DTYPE):
            raise UnpicklingError(f"it uses the name {name!r:.80}, which is not allowed")
        self.stack.append(_Named(name))

    def reduce(self) -> None:
        called, arguments = self.last(2)
        if not isinstance(called, _Named) or not isinstance(arguments, tuple):
            raise UnpicklingError("it calls something that is not callable")
        if called.name == RECONSTRUCT and _is_named(arguments[0], NDARRAY):
            self.stack.append(_Array())
        elif called.name == DTYPE and arguments[0] in (b"u1", "u1"):
            self.stack.append(_Uint8())
        else:
            raise UnpicklingError("it holds an array whose dtype is not uint8")

    def build(self) -> None:
        (state,), built = self.last(1), self.stack[-1]
        if isinstance(built, _Array):
            built.values = _array_of(state)
        elif not isinstance(built, _Uint8):  # the state of uint8, its byte order, is meaningless
            raise UnpicklingError("it sets the state of an object that has none")


def _is_named(value: Any, name: str) -> bool:
    return isinstance(value, _Named) and value.name == name


def _array_of(state: Any) -> npt.NDArray[np.uint8]:
    """Return the array of a state (version, shape, dtype, Fortran order, bytes)."""
    match state:
        case (int(version), (int(rows), int(columns)), _Uint8(), bool(fortran), bytes(content)) if (
            version == ARRAY_VERSION
            and min(rows, columns) > 0
            and math.prod((rows, columns)) == len(content)
        ):
            return np.frombuffer(content, np.uint8).reshape(
                (rows, columns), order="F" if fortran else "C"
            )
    raise UnpicklingError("it holds an array whose shape, dtype and content do not fit together")
