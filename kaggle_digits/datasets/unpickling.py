"""Read an old pickle as data: nothing in it is looked up, imported or called.

The standard library's `pickletools` takes the file apart into its instructions; the few that a
dictionary of lists, numbers and byte arrays needs are followed here, and any other is refused.
Python's own Unpickler would still run what it finds, even with a `find_class` that refuses most:
`memo` numbers that ask for gigabytes, keys that take years to hash, state set on our functions.
"""

import math
import pickletools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

# What a file of two bytes an instruction can make it hold stays below 100 MB.
MAX_INSTRUCTIONS = 1_000_000

RECONSTRUCT, NDARRAY, DTYPE = (
    "numpy.core.multiarray _reconstruct",
    "numpy ndarray",
    "numpy dtype",
)
ARRAY_VERSION = 1  # of the state that NumPy gives an array in a pickle


class UnpicklingError(Exception):
    """What was given is no pickle, or one that holds more than data."""


def read_pickle(data: bytes) -> dict[bytes, Any]:
    """Return the dictionary in a pickle of protocol 2 as Python 2 wrote it.

    Its keys are bytes; its values are bytes, str, int, bool, None, lists, tuples, dictionaries and,
    at the top level, arrays uint8 ``[n, m]``, read-only.

    Raises:
        UnpicklingError: it is no such pickle, it was cut short, or it holds anything else. The
            message quotes nothing from it but the names of what it would have called.

    """
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python comments on odd backslashes in names
            for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
                if count == MAX_INSTRUCTIONS:
                    raise UnpicklingError(f"more than {MAX_INSTRUCTIONS:,} instructions")
                machine.follow(opcode.name, argument)
        value = machine.stack.pop()
    except ValueError as error:  # pickletools' own: cut short, or no pickle at all
        raise UnpicklingError("it was cut short, or is no pickle") from error
    except LookupError as error:
        raise UnpicklingError("its instructions do not fit together") from error
    if not isinstance(value, dict):
        raise UnpicklingError("something else than a dictionary")
    return {key: one.values if isinstance(one, _Array) else one for key, one in value.items()}


class _Named:
    """Something of NumPy's that the pickle names: a word, not the thing itself."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Uint8:
    """The only type of numbers that an array may have."""


class _Array:
    """An array, from the moment the pickle asks for it; its content comes later."""

    def __init__(self) -> None:
        self.values: npt.NDArray[np.uint8] | None = None


class _Machine:
    """The stack that a pickle's instructions work on, and what they have set aside."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}  # a dictionary: a large number costs no more than a small
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
            raise UnpicklingError(f"the instruction {instruction}, which such a file does not need")
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
            raise UnpicklingError("values for a list where there is none")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target, keys = self.stack[-1], values[::2]
        if not isinstance(target, dict) or len(values) % 2:
            raise UnpicklingError("entries for a dictionary where there is none")
        # Tuples as keys could be nested so that hashing one takes years.
        if not all(isinstance(key, bytes) for key in keys):
            raise UnpicklingError("keys that are no byte strings, unlike those of Python 2")
        target.update(zip(keys, values[1::2], strict=True))

    def name(self, name: str) -> None:
        if name not in (RECONSTRUCT, NDARRAY, DTYPE):
            raise UnpicklingError(f"the name {name!r:.80}, which it may not use")
        self.stack.append(_Named(name))

    def reduce(self) -> None:
        called, arguments = self.last(2)
        if not isinstance(called, _Named) or not isinstance(arguments, tuple):
            raise UnpicklingError("a call of something that cannot be called")
        if called.name == RECONSTRUCT and _is_named(arguments[0], NDARRAY):
            self.stack.append(_Array())
        elif called.name == DTYPE and arguments[0] in (b"u1", "u1"):
            self.stack.append(_Uint8())
        else:
            raise UnpicklingError("an array of another type than uint8")

    def build(self) -> None:
        (state,), built = self.last(1), self.stack[-1]
        if isinstance(built, _Array):
            built.values = _array_of(state)
        elif not isinstance(built, _Uint8):  # whose state says nothing: bytes have no order
            raise UnpicklingError("a state for something that has none")


def _is_named(value: Any, name: str) -> bool:
    return isinstance(value, _Named) and value.name == name


def _array_of(state: Any) -> npt.NDArray[np.uint8]:
    """Return what an array's state says: (version, shape, type, in Fortran's order, bytes)."""
    match state:
        case (int(version), (int(rows), int(columns)), _Uint8(), bool(fortran), bytes(content)) if (
            version == ARRAY_VERSION
            and min(rows, columns) > 0
            and math.prod((rows, columns)) == len(content)
        ):
            return np.frombuffer(content, np.uint8).reshape(
                (rows, columns), order="F" if fortran else "C"
            )
    raise UnpicklingError("an array whose shape, type and content do not fit together")
