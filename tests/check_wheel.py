"""Install a wheel into a new environment, away from the checkout, and use it.

    python -m tests.check_wheel dist/kaggle_digits-0.2.0-py3-none-any.whl

It needs some minutes and the package index, because it installs every dependency.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests import product

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
COMMANDS = (
    "--version",
    "recipes",
    "data get --source sample",
    "train --recipe dense --epochs 1",
    "evaluate runs/dense-train-e1-sample",
)
API = "import kaggle_digits as kd; print(kd.open_run('runs/dense-train-e1-sample').scores.accuracy)"


def check(wheel: Path) -> list[str]:
    """Return what each command printed, as the program in ``wheel`` ran it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run([python, *install, "--constraint", CONSTRAINTS, wheel.resolve()], folder)
        program = folder / "venv" / "bin" / "kaggle-digits"
        printed = [_run([program, *command.split()], folder) for command in COMMANDS]
        printed.append(_run([python, "-c", API], folder))
        where = "import kaggle_digits, pathlib; p = pathlib.Path(kaggle_digits.__file__).parent"
        printed.append(
            _run([python, "-c", f"{where}; print((p / 'py.typed').exists(), p)"], folder)
        )
        return printed


def _run(command: list[str | Path], folder: Path) -> str:
    environment = {
        name: value for name, value in product.environment().items() if name != "PYTHONPATH"
    }
    if "pip" in command:  # the only one that may reach the index
        environment = None  # type: ignore[assignment]
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(*check(Path(argument)), sep="")  # noqa: T201 — a script
