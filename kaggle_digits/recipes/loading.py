"""Find a recipe: built in, in a Python file, or in an installed package."""

import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from kaggle_digits import files
from kaggle_digits.backend import backend_name, import_keras, quiet_stderr
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json
from kaggle_digits.recipes import space, trust
from kaggle_digits.recipes.recipe import Recipe, Training

ENTRY_POINTS = "kaggle_digits.recipes"
MAX_BYTES = 1 << 20  # of a recipe's file
IMPORTS_KERAS = re.compile(rb"^(import|from) (keras|tensorflow)\b", re.MULTILINE)
EXAMPLE = (
    "Expected a file that ends like this:\n"
    '  RECIPE = kd.Recipe(name="my-net", summary="…", network=network, training=kd.Training(…))'
)


def find(name: str, built_in: dict[str, Recipe]) -> Recipe:
    """Find the recipe for ``name``.

    Args:
        name: name of a built-in recipe or of an entry point in the group ``kaggle_digits.recipes``;
            path of a Python file that defines ``RECIPE``; or ``package.module:NAME``.
        built_in: the recipes of this package, by name.

    Returns:
        The recipe. `Recipe.file` is the file that it was read from, None if it is built in.

    Raises:
        InputError: the recipe is unknown, or its file defines none.

    """
    if name in built_in:
        return built_in[name]
    if name.endswith(".py") or "/" in name:
        path = files.expand_home(name).absolute()
        recipe = load_file(path)
        trust.trust(files.sha256_of(path))
    elif ":" in name:
        recipe = _load_attribute(name)
    else:
        recipe = _load_entry_point(name, built_in)
    if recipe.name in built_in:
        raise InputError(
            f"{recipe.file} names its recipe {recipe.name!r}, the name of a built-in one. "
            "Expected another name: it becomes part of the names of runs."
        )
    return recipe


def iterate_installed() -> Iterator[Recipe]:
    """Yield the recipes that installed packages register as entry points."""
    for point in _entry_points():
        yield _load_attribute(point.value)


def load_file(path: Path) -> Recipe:
    """Run the Python file at ``path`` and return its ``RECIPE``.

    Raises:
        InputError: the file cannot be read, raises, or defines no recipe.

    """
    return _require_recipe(load_module(path), "RECIPE", path)


def load_module(path: Path) -> ModuleType:
    """Run the Python file at ``path`` once in this process and return it as a module.

    The module is named after its content. So the same file is not run twice, and registers its
    custom layers once.

    Raises:
        InputError: the file cannot be read, or raises an exception.

    """
    try:
        if not path.is_file():
            raise FileNotFoundError
        content = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise InputError(
            f"--recipe {path}: {error.strerror or 'no such file'}. Expected the name of a recipe "
            "(`kaggle-digits recipes` lists them) or a Python file that defines RECIPE."
        ) from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES:,} bytes. Expected a recipe's file.")
    name = f"kaggle_digits_recipe_{hashlib.sha256(content).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    with _describing_faults(path):
        code = compile(content, str(path), "exec")
    backend_name()  # chooses the backend before the file may import Keras
    # In our own processes it takes about half as long as the file's own import.
    if IMPORTS_KERAS.search(content) and b"KERAS_BACKEND" not in content:
        import_keras()
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101 — the name ends in .py or is given as a file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _describing_faults(path), quiet_stderr():
            exec(code, module.__dict__)  # noqa: S102 — the user named it
    except BaseException:  # Ctrl-C as well: a notebook may load the file again
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _describing_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise InputError(describe_fault(error, path)) from error


def describe_fault(error: BaseException, path: Path) -> str:
    """Return the message for an exception in a recipe's file: file, line, reason and advice."""
    if isinstance(error, SyntaxError):
        line = error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), 1)
    said = str(error).strip().partition("\n")[0]
    return (
        f"{path}, line {line}: {type(error).__name__}: {said}. "
        "Expected a recipe that can be built. Fix that line and run the same command again. "
        "--debug shows the whole traceback."
    )


def _entry_points() -> Any:
    from importlib.metadata import entry_points  # here: it takes as long as the rest of this module

    return entry_points(group=ENTRY_POINTS)


def _load_attribute(name: str) -> Recipe:
    module_name, _, attribute = name.partition(":")
    backend_name()  # chooses the backend before the module may import Keras
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"--recipe {name}: {error}. Expected package.module:NAME of an installed package, or "
            "the path of a Python file, such as ./my_net.py."
        ) from error
    return _require_recipe(module, attribute or "RECIPE", Path(module.__file__ or module_name))


def _load_entry_point(name: str, built_in: dict[str, Recipe]) -> Recipe:
    points = _entry_points()
    if name in points.names:
        return _load_attribute(points[name].value)
    known = [*built_in, *sorted(points.names)]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if Path(f"{name}.py").is_file():
        hint = f" Did you mean the file {name}.py?"
    raise InputError(
        f"unknown recipe {name!r}: expected one of {', '.join(known)}, or a Python file that "
        f"defines RECIPE.{hint}"
    )


def _require_recipe(module: ModuleType, attribute: str, path: Path) -> Recipe:
    if not hasattr(module, attribute):
        raise InputError(f"{path}, line 1: the file defines no {attribute}. {EXAMPLE}")
    found: Any = getattr(module, attribute)
    if not isinstance(found, Recipe):
        raise InputError(
            f"{path}, line {_line_of(path, attribute)}: {attribute} is a "
            f"{type(found).__name__}, not a Recipe. {EXAMPLE}"
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", found.name):
        raise InputError(
            f"{path}, line {_line_of(path, attribute)}: received the name {found.name!r}. Expected "
            "at most 64 lower-case letters, digits and -._: it becomes part of file names."
        )
    try:  # the settings must be readable from run.json
        typed_json.build(Training, asdict(found.training))
    except ValueError as error:
        raise InputError(
            f"{path}, line {_line_of(path, attribute)}: in Training(…), {error}. Change that value."
        ) from error
    if fault := space.find_fault(found.space, found.network):
        raise InputError(f"{path}, line {_line_of(path, attribute)}: {fault}. Change that value.")
    return replace(found, file=path.absolute())


def _line_of(path: Path, attribute: str) -> int:
    """Return the line on which ``attribute`` is assigned last, 1 if it is not found."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [number for number, line in enumerate(lines, 1) if re.match(rf"{attribute}\b.*=", line)]
    return found[-1] if found else 1
