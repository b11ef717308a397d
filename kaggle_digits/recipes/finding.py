"""Find a recipe: built in, in a Python file, or in an installed package."""

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

from kaggle_digits import files
from kaggle_digits.backend import backend_name, quiet_stderr
from kaggle_digits.errors import InputError, suggest
from kaggle_digits.recipes import limits, trust
from kaggle_digits.recipes.loading import EXAMPLE, describing_faults, read, run_program
from kaggle_digits.recipes.recipe import Recipe

ENTRY_POINTS = "kaggle_digits.recipes"
EXPECTED = (
    "Expected package.module:NAME of an installed package, or the path of a Python file, such as "
    "./my_net.py."
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
        program = read(path, f"--recipe {path}")
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
    if fault := limits.find_fault(recipe):
        raise InputError(f"{recipe.file}: {fault}")
    trust.trust(str(recipe.program_sha256))
    return recipe


def list_installed() -> dict[str, str]:
    """Return the recipes that installed packages register, by name: ``package.module:NAME``."""
    return {point.name: point.value for point in _entry_points()}


def _require_alone(program: bytes, path: Path) -> None:
    """Raise an InputError if the file imports another one beside it, which its runs would lack."""
    with describing_faults(path):
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
    program = read(path, f"--recipe {name}")
    with describing_faults(path):
        program = make_absolute(program, spec.parent or "")
    if attribute != "RECIPE":  # `loading` finds the recipe's line through this one
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
    is_file = Path(f"{name}.py").is_file()
    hint = f" Did you mean the file {name}.py?" if is_file else suggest(name, known)
    raise InputError(
        f"unknown recipe {name!r}.{hint} Expected one of {', '.join(known)}, or a Python file "
        "that defines RECIPE."
    )
