"""JSON that anybody may have written."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from kaggle_digits.formats import typed_json


@dataclass(frozen=True)
class Inner:
    width: float | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    count: int
    share: float
    kind: Literal["a", "b"]
    flag: bool = False
    inner: Inner | None = None
    names: tuple[str, ...] = ()
    rest: dict[str, Any] | None = None


GOOD = {"name": "x", "count": 3, "share": 0.5, "kind": "a"}


def test_an_object_becomes_a_dataclass():
    assert typed_json.build(Outer, GOOD) == Outer("x", 3, 0.5, "a")
    value = {
        **GOOD, "share": 1, "flag": True, "inner": {"width": 2.5}, "names": ["a", "b"],
        "rest": {"a": [1]},
    }  # fmt: skip
    built = typed_json.build(Outer, value)
    assert built == Outer("x", 3, 1, "a", True, Inner(2.5), ("a", "b"), {"a": [1]})  # noqa: FBT003
    assert typed_json.build(Outer, GOOD | {"inner": None}).inner is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], "it is a list, expected an object"),
        ("abc", "it is 'abc', expected an object"),
        (None, "it is None, expected an object"),
        ({"name": "x"}, "count is missing"),
        (GOOD | {"other": 1}, "'other' is not known"),
        (GOOD | {"\x1b[2J\u202e" * 100: 1}, r"'\x1b[2J\u202e"),
        (GOOD | {"name": 7}, "name is 7, expected str"),
        (GOOD | {"name": None}, "name is None, expected str"),
        (GOOD | {"name": ["x"] * 1000}, "name is a list, expected str"),
        (GOOD | {"count": "3"}, "count is '3', expected int"),
        (GOOD | {"count": 3.0}, "count is 3.0, expected int"),
        (GOOD | {"count": True}, "count is True, expected int"),
        (GOOD | {"count": 1 << 63}, "count is a number beyond 64 bits, expected int"),
        (GOOD | {"share": 10**400}, "share is a number beyond 64 bits, expected float"),
        (GOOD | {"share": "a" * 1000}, "expected float"),
        (GOOD | {"kind": "c"}, "kind is 'c', expected 'a' or 'b'"),
        (GOOD | {"kind": []}, "kind is a list, expected 'a' or 'b'"),
        (GOOD | {"flag": 1}, "flag is 1, expected bool"),
        (GOOD | {"inner": 2.5}, "inner is 2.5, expected an object"),
        (GOOD | {"inner": {"width": "2"}}, "inner.width is '2', expected float"),
        (GOOD | {"inner": {"height": 2}}, "inner.'height' is not known"),
        (GOOD | {"names": "ab"}, "names is 'ab', expected tuple"),
        (GOOD | {"names": ["a", 1]}, "names is 1, expected str"),
        (GOOD | {"rest": []}, "rest is a list, expected dict"),
    ],
)
def test_anything_else_is_refused_in_few_words(value, problem):
    with pytest.raises(ValueError, match=r".") as caught:
        typed_json.build(Outer, value)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 120
    assert str(caught.value).isprintable()


def test_what_a_later_version_adds_may_be_ignored():
    value = GOOD | {"other": 1, "inner": {"height": 1}}
    assert typed_json.build(Outer, value, strict=False) == Outer("x", 3, 0.5, "a", inner=Inner())


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":' * 100_000, "9" * 5000, "\0"])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        typed_json.parse(text)


def test_numbers_that_json_does_not_know_are_refused():
    for text in ("NaN", "Infinity", "1e999"):
        with pytest.raises(ValueError, match=r"width is (nan|inf), expected float"):
            typed_json.build(Inner, typed_json.parse(f'{{"width": {text}}}'))
