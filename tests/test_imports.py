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

# Stages from the leaves to the command line: a module imports only from stages above its own line.
LAYERS = [
    ["terminal_text"],
    ["child_processes", "errors", "safe_reading"],
    ["backend", "credentials", "files", "optional_packages", "python_messages"],
    ["formats"],
    ["datasets"],
    ["transforms"],
    ["recipes"],
    ["evaluation", "handwriting", "submissions"],
    ["runs"],
    ["training"],
    ["exporting", "kaggle_client", "plots"],
    ["results", "trackers"],
    ["blending", "comparing"],
    ["app", "pipeline", "report"],
    ["search", "training_api"],
    ["recording"],
    ["cli"],
    ["__main__", "__init__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Modules that start Keras when they are imported, because they define a Keras class.
STARTS_KERAS = (
    "kaggle_digits.transforms.augmentation",
    "kaggle_digits.training.batch_split",
    "kaggle_digits.training.muon",
)
READS_ARRAYS = {("np", "load"), ("np", "memmap"), ("np", "fromfile")}


def imported_names(tree: ast.Module, *, at_start: bool) -> set[str]:
    """Return the modules that a module imports: when it is imported itself, or at any time."""
    names = set()
    for node in tree.body if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def find_faults(path: Path) -> list[str]:
    """Return what the module at ``path`` imports or calls against the rules, in words."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    at_start = imported_names(tree, at_start=True)
    always = imported_names(tree, at_start=False)
    stages = {name.split(".")[1] for name in always if name.startswith("kaggle_digits.")}
    faults = [
        f"imports {stage}, which comes after {own}"
        for stage in sorted(stages & set(RANK) - {own})
        if RANK[stage] >= RANK[own]
    ]
    tops = {name.split(".")[0] for name in at_start}
    faults += [f"imports {name} at its top" for name in sorted(tops & set(HEAVY))]
    faults += [
        f"imports {name} at its top, which starts Keras"
        for name in sorted(at_start)
        if name.startswith(STARTS_KERAS)
    ]
    if path.name != "client_process.py":
        clients = {name.split(".")[0] for name in always} & {"kaggle", "kagglesdk", "requests"}
        faults += [f"imports {name}: only client_process.py may" for name in sorted(clients)]
    if path.name != "arrays.py":
        faults += [
            f"calls np.{node.attr}: only arrays.py may"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in READS_ARRAYS
        ]
    return faults


def test_modules_keep_the_import_rules():
    found = {str(path.relative_to(PACKAGE)): find_faults(path) for path in PACKAGE.rglob("*.py")}
    assert len(found) > 100
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_every_stage_has_a_place_in_the_order():
    stages = {
        path.name.removesuffix(".py") for path in PACKAGE.iterdir() if "__pycache" not in path.name
    }
    assert stages - {"py.typed"} == set(RANK)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("from kaggle_digits.cli import app", "imports cli, which comes after datasets"),
        ("import keras", "imports keras at its top"),
        ("def f():\n    import requests", "imports requests: only client_process.py may"),
        ("import numpy as np\nnp.load('x')", "calls np.load: only arrays.py may"),
        (
            "from kaggle_digits.training.batch_split import BatchSplit",
            "imports kaggle_digits.training.batch_split.BatchSplit at its top, which starts Keras",
        ),
    ],
)
def test_a_broken_rule_is_found(code, fault, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "datasets").mkdir()
    path = tmp_path / "datasets" / "bad.py"
    path.write_text(code)
    assert fault in find_faults(path)


@pytest.mark.parametrize(
    "name", ["evaluation.ensembling", "runs.predictions", "submissions.comparison"]
)
def test_stages_after_training_never_import_keras(name):
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
    """Run a command in a process that then prints which modules it has imported."""
    code = (
        "import sys\n"
        "from kaggle_digits.cli import main\n"
        f"sys.argv = ['kaggle-digits', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code or 0\n"
        "else:\n    code = 0\n"
        "print('\\nIMPORTED', code, *sys.modules)\n"
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
        (["train", "--help"], 0),
        (["search", "--help"], 0),
        (["record", "--help"], 0),
        (["recipes", "--help"], 0),
        (["data", "get", "--help"], 0),
        (["recipes"], 0),
        (["runs"], 0),
        (["leaderboard"], 0),
        (["leaderboard", "--refresh"], 2),
        (["kernel", "push", "--help"], 0),
        (["kernel", "status"], 2),
        (["kernel", "fetch"], 2),
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
    if "--help" in arguments:
        stages = ("kaggle_digits.re", "kaggle_digits.runs", "kaggle_digits.training")  # recipes, …
        assert not [name for name in names if name.startswith(stages)]
