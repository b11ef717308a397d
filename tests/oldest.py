"""Print the oldest versions that pyproject.toml admits, one a line, for `make test-oldest`."""

import itertools
import re
import sys
import tomllib
from pathlib import Path

# What Kaggle's image pins below what the oldest of these packages would otherwise get.
KAGGLE = ("protobuf==5.29.5",)
NOT_FOR_TESTS = (
    "build", "kaggle-digits", "mypy", "pandas-stubs", "ruff", "twine",
    # These need newer packages than the oldest; their tests skip.
    "gradio", "mlflow", "optuna", "ray",
)  # fmt: skip


def find_lower_bounds(path: Path) -> list[str]:
    """Return ``name==version`` for the lower bound of each dependency, optional ones included."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    optional = itertools.chain(*project["optional-dependencies"].values())
    bounds = []
    for requirement in (*project["dependencies"], *optional):
        name, _, versions = requirement.partition(">=")
        if re.split(r"[\[<=]", name)[0] not in NOT_FOR_TESTS:
            bounds.append(f"{name}=={versions.partition(',')[0]}")
    return sorted({*bounds, *KAGGLE})


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in find_lower_bounds(Path(sys.argv[1]))))
