"""Name arguments in messages as Python does: "batch_size=8" instead of "--batch-size 8".

The command line and Python share their functions, and the functions name options. The public
functions pass through here, so that a notebook reads the names that it can use.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any

from kaggle_digits.errors import KaggleDigitsError

# A command is copied into a terminal and stays as it is, in backticks or to the end of its line.
COMMAND = re.compile(r"(`[^`]*`|kaggle-digits [^\n]*)")
OPTION = re.compile(r"(?<![^\s(])--([a-z]+(?:-[a-z]+)*)")
VALUE = r"\d+(?:\.\d+)?(?:e[-+]?\d+)?[a-zA-Z]*|'[^']*'|(?:here|processes|ray|mean)\b"
WITH_VALUE = re.compile(rf"{OPTION.pattern} ({VALUE})")
# Python shows a traceback by itself.
OF_THE_TERMINAL = re.compile(r" --debug shows [^.]*\.|, with --debug [^.]*(?=\.)")


def speak_python(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return the public function ``name``: ``function`` with messages that name its arguments."""
    # What `--input` is called here.
    names = {"input": "data"} if "data" in inspect.signature(function).parameters else {}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except KaggleDigitsError as error:
            error.args = (name_arguments(str(error), names), *error.args[1:])
            raise

    # So that pickle finds it: worker processes look a function up by these names.
    call.__module__, call.__qualname__ = "kaggle_digits", name
    return call


def name_arguments(message: str, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return ``message`` with arguments instead of options.

    Args:
        message: a message for the command line.
        names: names of arguments that differ from those of the options.

    """

    def name(option: str) -> str:
        argument = option.replace("-", "_")
        return names.get(argument, argument)

    parts = COMMAND.split(OF_THE_TERMINAL.sub("", message))  # every second one is a command
    for number in range(0, len(parts), 2):
        text = WITH_VALUE.sub(lambda found: f"{name(found[1])}={_quote(found[2])}", parts[number])
        text = OPTION.sub(lambda found: name(found[1]), text)
        parts[number] = text.replace("this command has", "this call has")
    return "".join(parts)


def _quote(value: str) -> str:
    """Return a value as Python writes it: texts in quotes, numbers without."""
    is_literal = value.startswith("'") or value[-1].isdigit()
    return value if is_literal else repr(value)
