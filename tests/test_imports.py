"""What may import what, and what must not be imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kaggle_digits
from tests import product

PACKAGE = Path(kaggle_digits.__file__).parent
HEAVY = ("keras", "tensorflow", "pandas", "sklearn", "pyarrow", "scipy", "kaggle", "kagglesdk")
KERAS = ("keras", "tensorflow")
ARRAYS = {"compare", "evaluate", "submit", "--input"}  # what cannot do without NumPy

# Who comes before whom: a module imports only from the lines above its own.
LAYERS = [
    ["errors", "kaggle_worker", "terminal_text", "typed_json"],
    ["credentials"],
    ["arrays", "backend", "files"],
    ["datasets"],
    ["deslanting", "model_files", "run_folder"],
    ["kaggle_faults", "recipes"],
    ["augmentation", "evaluation", "handwriting", "kaggle_api", "parts", "submissions"],
    ["clean_copy", "comparison", "ensembling", "history", "run_files"],
    ["runs", "training"],
    ["record", "workers"],
    ["cross_validation", "exporting", "ledger", "origins", "predictions"],
    ["agreement", "plots", "recovery", "score_bounds"],
    ["pushing"],
    ["notebook_progress", "results"],
    ["pipeline"],
    ["cli"],
    ["__main__", "__init__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imported(path: Path, *, at_start: bool) -> set[str]:
    """Return the modules that ``path`` imports: when it is imported itself, or at any time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_start else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def stage(module: str) -> str:
    """Return the stage of a module's dotted name below the package."""
    return module.split(".")[1]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_flow_downward(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imported(path, at_start=False):
        if not name.startswith("kaggle_digits."):
            continue
        other = stage(name)
        if other in RANK and other != own:
            assert RANK[other] < RANK[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_heavy_packages_at_its_top(path):
    tops = {name.split(".")[0] for name in imported(path, at_start=True)}
    assert not tops & set(HEAVY)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_the_one_that_starts_keras_at_its_top(path):
    names = imported(path, at_start=True)
    keras_at_once = ("kaggle_digits.augmentation", "kaggle_digits.parts")
    assert not any(name.startswith(keras_at_once) for name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_module_alone_imports_kaggles_client(path):
    tops = {name.split(".")[0] for name in imported(path, at_start=False)}
    assert path.name == "kaggle_worker.py" or not tops & {"kaggle", "kagglesdk", "requests"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_module_alone_reads_arrays(path):
    loads = [
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("np", "load"), ("np", "memmap"), ("np", "fromfile")}
    ]
    assert path.name == "arrays.py" or not loads


@pytest.mark.parametrize(
    "name", ["comparison", "ensembling", "evaluation", "predictions", "submissions"]
)
def test_stages_after_training_never_import_keras(name):
    names = {one.split(".")[0] for one in imported(PACKAGE / f"{name}.py", at_start=False)}
    assert not names & set(KERAS)
    code = f"import sys, kaggle_digits.{name}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=product.environment(),
    )
    assert not set(done.stdout.split()) & set(KERAS)


def modules_after(arguments: list[str], cwd: Path) -> tuple[int, set[str]]:
    """Run a command in a process that then prints which packages it has imported."""
    code = (
        "import sys\n"
        "from kaggle_digits.cli import main\n"
        f"sys.argv = ['kaggle-digits', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code or 0\n"
        "else:\n    code = 0\n"
        "print('\\nIMPORTED', code, *{name.split('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
        env=product.environment(),
    )
    _, code_, *names = done.stdout.rpartition("IMPORTED")[2].split(" ")
    return int(code_), {name.strip() for name in names}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["cv", "--help"], 0),
        (["data", "get", "--help"], 0),
        (["recipes"], 0),
        (["runs"], 0),
        (["leaderboard"], 0),
        (["leaderboard", "--refresh"], 2),
        (["compare", "a.csv", "b.csv"], 0),
        (["cv", "--recipe", "nosuch"], 2),
        (["cv", "--folds", "one"], 2),
        (["cv", "--input", "nosuch"], 2),
        (["nosuch"], 2),
        (["evaluate", "nosuch"], 2),
        (["export", "nosuch"], 2),
        (["submit", "nosuch.csv"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_answers_at_once_imports_nothing_heavy(arguments, code, tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("ImageId,Label\n1,7\n2,3\n")
    ended, names = modules_after(arguments, tmp_path)
    assert ended == code
    assert not names & set(HEAVY)
    if not ARRAYS & set(arguments):
        assert "numpy" not in names
