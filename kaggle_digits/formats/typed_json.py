"""Parse JSON from untrusted files and check it against a dataclass.

`json.loads` and a dataclass accept values that fail later: a list instead of a number, numbers
beyond 64 bits, brackets nested too deeply for Python. Needs only the standard library.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from kaggle_digits.terminal_text import cut

T = TypeVar("T")

MAX_INTEGER = (1 << 63) - 1
MAX_SHOWN = 40  # characters of a value in a message


def parse(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, or nested too deeply.

    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error


def build(cls: type[T], value: Any, *, strict: bool = True) -> T:
    """Return the dataclass ``cls`` with the entries of a JSON object.

    Args:
        cls: a dataclass whose fields are str, bool, int, float (finite), dict, a `Literal` of
            strings, another dataclass, a tuple of any length of one of these, or one of these or
            None.
        value: a value from `parse`. Fields with a default may be missing.
        strict: whether unknown entries are rejected, also in nested objects.

    Raises:
        ValueError: it is not an object, or an entry is missing, unknown or of another type.

    """
    return _object(cls, value, "", strict=strict)  # type: ignore[no-any-return]


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _object(cls: Any, value: Any, where: str, *, strict: bool) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'it'} is {_shown(value)}, expected an object")  # noqa: TRY004 — the value comes from a file
    inside = f"{where}." if where else ""
    known = {field.name: field for field in fields(cls)}
    if strict and (unknown := value.keys() - known.keys()):
        raise ValueError(f"{inside}{_shown(min(unknown))} is not known")
    for name, field in known.items():
        is_needed = field.default is MISSING and field.default_factory is MISSING
        if is_needed and name not in value:
            raise ValueError(f"{inside}{name} is missing")
    hints = _hints(cls)
    return cls(
        **{
            name: _fit(hints[name], value[name], f"{inside}{name}", strict=strict)
            for name in known
            if name in value
        }
    )


def _fit(hint: Any, value: Any, where: str, *, strict: bool) -> Any:
    """Return ``value`` as the type ``hint``; raise ValueError if it is another."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        (hint,) = (each for each in arguments if each is not NoneType)
        return _fit(hint, value, where, strict=strict)
    if is_dataclass(hint):
        return _object(hint, value, where, strict=strict)
    if origin is tuple and isinstance(value, list):
        return tuple(_fit(arguments[0], each, where, strict=strict) for each in value)
    if not _is(hint, value):
        expected = " or ".join(map(repr, arguments)) if origin is Literal else hint.__name__
        raise ValueError(f"{where} is {_shown(value)}, expected {expected}")
    return value


def _is(hint: Any, value: Any) -> bool:
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if hint in (int, float):
        is_whole = type(value) is int and abs(value) <= MAX_INTEGER  # True is an int to isinstance
        return is_whole or (hint is float and isinstance(value, float) and math.isfinite(value))
    return isinstance(value, get_origin(hint) or hint)


def _shown(value: Any) -> str:
    """Return a short description of a value for a message, without control characters."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "a number beyond 64 bits"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return cut(ascii(value), MAX_SHOWN)
