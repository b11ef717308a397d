"""Run the program of a recipe, and check what it defines."""

import contextlib
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from kaggle_digits.backend import backend_name, import_keras, quiet_stderr
from kaggle_digits.errors import InputError, suggest_path
from kaggle_digits.formats import typed_json
from kaggle_digits.recipes import space
from kaggle_digits.recipes.recipe import Recipe, Training
from kaggle_digits.terminal_text import plain

MAX_BYTES = 1 << 20  # of a recipe's file
MAX_NAME = 64  # characters of a recipe's name
NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_NAME - 1}}}")
TERMINAL_COLOUR = re.compile(r"\x1b\[[\d;]*m")
IMPORTS_KERAS = re.compile(rb"^(import|from) (keras|tensorflow)\b", re.MULTILINE)
EXAMPLE = (
    "Expected a file that ends like this:\n"
    '  RECIPE = kd.Recipe(name="my-net", summary="…", network=network, training=kd.Training(…))'
)


def load_file(path: Path) -> Recipe:
    """Run the Python file at ``path`` and return its ``RECIPE``.

    Raises:
        InputError: the file cannot be read, raises, or defines no recipe.

    """
    return run_program(read(path, f"--recipe {path}"), path)


def read(path: Path, asked: str) -> bytes:
    """Return the content of a recipe's file.

    Args:
        path: the file.
        asked: the option as it was given, such as ``--recipe my_net.py``; begins the message.

    Raises:
        InputError: it is not a file, cannot be read, or is too large.

    """
    try:
        if not path.is_file():
            raise FileNotFoundError
        content = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        reason = f"{error.strerror}."
        if not error.strerror:
            is_there = path.exists()
            reason = "it is not a file." if is_there else f"no such file.{suggest_path(path)}"
        raise InputError(
            f"{asked}: {reason} Expected the name of a recipe "
            "(`kaggle-digits recipes` lists them) or a Python file that defines RECIPE."
        ) from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES:,} bytes. Expected a recipe's file.")
    return content


def run_program(program: bytes, path: Path) -> Recipe:
    """Run a recipe's program and return its ``RECIPE``.

    It runs once in this process, as a module named after its content. Its custom layers are those
    that Keras finds under their names from now on.

    Args:
        program: Python code.
        path: the file that it was read from, for messages and tracebacks.

    Raises:
        InputError: the program raises, or defines no recipe.

    """
    name = f"kaggle_digits_recipe_{hashlib.sha256(program).hexdigest()[:16]}"
    if name not in sys.modules:
        before = dict(_custom_objects())
        _run_module(name, program, path)
        new = {key: of for key, of in _custom_objects().items() if before.get(key) is not of}
        _registered[name] = new
    # Another recipe may have registered a layer under the same name in the meantime.
    _custom_objects().update(_registered.get(name, {}))
    found = _require_recipe(sys.modules[name], program, path)
    return replace(found, file=path.absolute(), program=program)


_registered: dict[str, dict[str, Any]] = {}  # custom layers by the module that defines them


def _custom_objects() -> dict[str, Any]:
    """Return Keras's registry of custom layers, empty if Keras is not imported."""
    keras = sys.modules.get("keras")
    return keras.saving.get_custom_objects() if keras else {}


def _run_module(name: str, program: bytes, path: Path) -> None:
    with describing_faults(path):
        code = compile(program, str(path), "exec")
    backend_name()  # chooses the backend before the file may import Keras
    # In our own processes it takes about half as long as the file's own import.
    if IMPORTS_KERAS.search(program) and b"KERAS_BACKEND" not in program:
        import_keras()
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101 — the name ends in .py or is given as a file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with describing_faults(path), quiet_stderr():
            exec(code, module.__dict__)  # noqa: S102 — the user named it
    except BaseException:  # Ctrl-C as well: a notebook may load the file again
        del sys.modules[name]
        raise


@contextlib.contextmanager
def describing_faults(path: Path) -> Iterator[None]:
    """Convert an exception in the block to an InputError that names the file and the line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise InputError(describe_fault(error, path)) from error


def describe_fault(error: BaseException, path: Path, line: int | None = 1) -> str:
    """Return the message for an exception in a recipe's file: file, line, reason and advice.

    Args:
        error: the exception.
        path: the recipe's file.
        line: the line to name if no line of the file is in the traceback.

    """
    reason = str(error)
    if isinstance(error, SyntaxError):
        line, reason = error.lineno, error.msg  # the text names the line once more
    else:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = ours[-1] if ours else line
    where = f"{path}, line {line}" if line else str(path)
    return (
        f"{where}: {type(error).__name__}: {_shorten_reason(reason)}. "
        "Expected a recipe that can be built. Fix that line and run the same command again. "
        "--debug shows the whole traceback."
    )


def _shorten_reason(text: str) -> str:
    """Return the first line of an exception's text, or the line in which Keras puts the reason."""
    lines = [line.strip() for line in TERMINAL_COLOUR.sub("", text).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling "):
        called = lines[0].removeprefix("Exception encountered when calling ").rstrip(".")
        cause = 2 if lines[1].endswith("Error encountered:") and len(lines) > 2 else 1  # noqa: PLR2004
        lines = [f"in {called}, {lines[cause]}"]
    elif len(lines) > 1 and lines[0].endswith(":"):  # TensorFlow: "Graph execution error:", details
        lines = [f"{lines[0]} {lines[-1]}"]
    return plain(lines[0].rstrip(".")) if lines else ""


def _require_recipe(module: ModuleType, program: bytes, path: Path) -> Recipe:
    if not hasattr(module, "RECIPE"):
        raise InputError(f"{path}, line 1: the file defines no RECIPE. {EXAMPLE}")
    found: Any = module.RECIPE
    where = f"{path}, line {_line_of_recipe(program)}"
    if not isinstance(found, Recipe):
        raise InputError(
            f"{where}: RECIPE has the type {type(found).__name__}, not Recipe. {EXAMPLE}"
        )
    if fault := find_fault(found):
        raise InputError(f"{where}: {fault}")
    return found


def find_fault(recipe: Recipe) -> str | None:
    """Return what is wrong with a recipe's name, training or space; None if nothing is."""
    if not isinstance(recipe.name, str) or not NAME.fullmatch(recipe.name):
        return (
            f"received the name {recipe.name!r}. Expected at most {MAX_NAME} lower-case letters, "
            "digits and -._: it becomes part of file names."
        )
    if fault := find_training_fault(recipe.training):
        return fault
    is_class = isinstance(recipe.network, type)
    if not is_class and hasattr(recipe.network, "layers") and hasattr(recipe.network, "get_config"):
        return (
            "network is a Keras model. Expected the function that builds one, because every fold "
            "needs a new one: network=network, without brackets after the name."
        )
    try:
        fault = space.find_fault(recipe.space, recipe.network)
    except ValueError as error:  # arguments that `Recipe.with_settings` added
        fault = f"network does not take these arguments: {error.__cause__}"
    return fault and f"{fault}. Change that value."


def find_training_fault(training: Training) -> str | None:
    """Return what is wrong with training settings, which must be readable from run.json."""
    try:
        typed_json.build(Training, asdict(training))
    except ValueError as error:
        return f"in Training(…), {error}. Change that value."
    return None


def _line_of_recipe(program: bytes) -> int:
    """Return the line on which ``RECIPE`` is assigned last, 1 if it is not found."""
    lines = program.splitlines()
    names = [b"RECIPE"]
    if lines and (alias := re.fullmatch(rb"RECIPE = (\w+)", lines[-1])):
        names.insert(0, alias[1])  # `finding` appends this line for another name than RECIPE
    for name in names:
        found = [n for n, line in enumerate(lines, 1) if re.match(rb"%s\b.*=" % name, line)]
        if found:
            return found[-1]
    return 1
