"""Find a recipe: built in, in a Python file, or in an installed package."""

import ast
import contextlib
import difflib
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

from kaggle_digits import files
from kaggle_digits.backend import backend_name, import_keras, quiet_stderr
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json
from kaggle_digits.recipes import space, trust
from kaggle_digits.recipes.recipe import Recipe, Training

ENTRY_POINTS = "kaggle_digits.recipes"
MAX_BYTES = 1 << 20  # of a recipe's file
IMPORTS_KERAS = re.compile(rb"^(import|from) (keras|tensorflow)\b", re.MULTILINE)
EXPECTED = (
    "Expected package.module:NAME of an installed package, or the path of a Python file, such as "
    "./my_net.py."
)
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
        The recipe. `Recipe.file` is the file that it was read from, None if it is built in. The
        program of a recipe that is not built in is trusted from now on.

    Raises:
        InputError: the recipe is unknown, or its file defines none.

    """
    if name in built_in:
        return built_in[name]
    if name.endswith(".py") or "/" in name:
        path = files.expand_home(name).absolute()
        program = _read(path, f"--recipe {path}")
        _require_alone(program, path)
        recipe = run_program(program, path)
    elif ":" in name:
        recipe = _load_attribute(name)
    else:
        recipe = _load_entry_point(name, built_in)
    if recipe.name in built_in:
        raise InputError(
            f"{recipe.file} names its recipe {recipe.name!r}, the name of a built-in one. "
            "Expected another name: it becomes part of the names of runs."
        )
    trust.trust(str(recipe.program_sha256))
    return recipe


def list_installed() -> dict[str, str]:
    """Return the recipes that installed packages register, by name: ``package.module:NAME``."""
    return {point.name: point.value for point in _entry_points()}


def load_file(path: Path) -> Recipe:
    """Run the Python file at ``path`` and return its ``RECIPE``.

    Raises:
        InputError: the file cannot be read, raises, or defines no recipe.

    """
    return run_program(_read(path, f"--recipe {path}"), path)


def _require_alone(program: bytes, path: Path) -> None:
    """Raise an InputError if the file imports another one beside it, which its runs would lack."""
    with _describing_faults(path):
        imported = _list_imported(ast.parse(program))
    for name in imported:
        if name != path.stem and (path.parent / f"{name}.py").is_file():
            raise InputError(
                f"{path} imports {name}.py, which lies beside it. Expected a file that holds all "
                "of its own code, because a run keeps a copy of it alone. Move the code into the "
                "file, or install it as a package."
            )


def _list_imported(block: ast.AST) -> list[str]:
    """Return the first part of the name of each imported module, without what is conditional."""
    names = []
    for node in ast.iter_child_nodes(block):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
        elif not isinstance(node, ast.If | ast.Try):
            names += _list_imported(node)
    return [name.partition(".")[0] for name in names]


def _read(path: Path, asked: str) -> bytes:
    try:
        if not path.is_file():
            raise FileNotFoundError
        content = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise InputError(
            f"{asked}: {error.strerror or 'no such file'}. Expected the name of a recipe "
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
    with _describing_faults(path):
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
        with _describing_faults(path), quiet_stderr():
            exec(code, module.__dict__)  # noqa: S102 — the user named it
    except BaseException:  # Ctrl-C as well: a notebook may load the file again
        del sys.modules[name]
        raise


@contextlib.contextmanager
def _describing_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
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
    module, _, attribute = name.partition(":")
    attribute = attribute or "RECIPE"
    if not attribute.isidentifier():
        raise InputError(f"--recipe {name}: {attribute!r} is not a valid name. {EXPECTED}")
    backend_name()  # chooses the backend before a package may import Keras
    try:
        with quiet_stderr():
            spec = importlib.util.find_spec(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"--recipe {name}: {error}. {EXPECTED}") from error
    if not spec:
        raise InputError(f"--recipe {name}: No module named {module!r}. {EXPECTED}")
    if not spec.origin or not spec.origin.endswith(".py"):
        raise InputError(f"--recipe {name}: {module} is not a Python file. {EXPECTED}")
    path = Path(spec.origin)
    program = _read(path, f"--recipe {name}")
    with _describing_faults(path):
        program = make_absolute(program, spec.parent or "")
    if attribute != "RECIPE":
        program = program.rstrip() + f"\n\nRECIPE = {attribute}\n".encode()
    try:
        return run_program(program, path)
    except InputError as error:
        if isinstance(error.__cause__, NameError) and error.__cause__.name == attribute:
            what = f"{path}, line 1: the file defines no {attribute}. {EXAMPLE}"
            raise InputError(what) from error
        raise


def make_absolute(program: bytes, package: str) -> bytes:
    """Return a module's code with absolute imports, so that it runs outside of its package.

    Args:
        program: Python code.
        package: name of the package that relative imports refer to.

    Raises:
        SyntaxError: a relative import has an unusual form, such as one on two lines.

    """
    lines = program.splitlines(keepends=True)
    found = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.ImportFrom)]
    # From the last one on, because a new name moves what follows it on its line.
    for node in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        if not node.level:
            continue
        name = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        line = node.lineno - 1
        start, rest = lines[line][: node.col_offset], lines[line][node.col_offset :]
        old, new = rb"^from\s*\.[.\s]*", f"from {name} "
        if node.module:
            old, new = old + rb"[\w.]+", new.rstrip()
        changed, count = re.subn(old, new.encode(), rest)
        if not count:
            raise SyntaxError(f"expected `from {name} import` on one line", ("", line + 1, 0, ""))
        lines[line] = start + changed
    return b"".join(lines)


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


def _require_recipe(module: ModuleType, program: bytes, path: Path) -> Recipe:
    if not hasattr(module, "RECIPE"):
        raise InputError(f"{path}, line 1: the file defines no RECIPE. {EXAMPLE}")
    found: Any = module.RECIPE
    where = f"{path}, line {_line_of_recipe(program)}"
    if not isinstance(found, Recipe):
        raise InputError(f"{where}: RECIPE is a {type(found).__name__}, not a Recipe. {EXAMPLE}")
    if fault := find_fault(found):
        raise InputError(f"{where}: {fault}")
    return found


def find_fault(recipe: Recipe) -> str | None:
    """Return what is wrong with a recipe's name, training or space; None if nothing is."""
    if not isinstance(recipe.name, str) or not re.fullmatch(
        r"[a-z0-9][a-z0-9._-]{0,63}", recipe.name
    ):
        return (
            f"received the name {recipe.name!r}. Expected at most 64 lower-case letters, digits "
            "and -._: it becomes part of file names."
        )
    if fault := find_training_fault(recipe.training):
        return fault
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
        names.insert(0, alias[1])  # of `_load_attribute`
    for name in names:
        found = [n for n, line in enumerate(lines, 1) if re.match(rb"%s\b.*=" % name, line)]
        if found:
            return found[-1]
    return 1
