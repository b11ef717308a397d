"""The README and the guides are true: their commands and their Python run, on tiny data."""

import contextlib
import re
import shlex
import subprocess
import tomllib
import zipfile
from dataclasses import fields, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

from kaggle_digits import __version__, recipes
from kaggle_digits.cli import app
from tests import drawn, kaggle_server, make_cli_reference, product, untrained
from tests.helpers import HEADER, ROWS, TEST_HEADER, images, mnist_arrays, write_cifar10_archive

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/quickstart.md", *(f"docs/guide/{name}.md" for name in (
    "data", "recipes", "training", "evaluating", "comparing", "submitting", "exporting",
    "handwriting", "notebooks", "kaggle-machines", "report", "drawing", "trackers", "search",
)), "docs/results.md", "docs/contributing.md")  # fmt: skip
# Why a block may be left out.
REASONS = {
    "installs packages",
    "needs a cluster",
    "runs tests",
    "takes as long as its budget",
    "takes minutes",
    "trains on the full data",
    "waits for a browser",
}
FENCE = re.compile(r"(?:<!-- not run: ([^>\n]*) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
TRAIN_IMAGES = 120
EXPORT = ["kaggle-digits", "export", "runs/bn20-5-fold"]  # --ensemble is run
FIRST = (  # runs and CSVs that the pages take for granted
    "cv --recipe bn20 --folds 5",
    "cv --recipe fast --folds 5",
    "train --recipe fast",
    "ensemble runs/bn20-5-fold runs/fast-5-fold --submission submissions/blend.csv",
)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


class Reader:
    """Somebody who types what the pages say, each command once."""

    def __init__(self, server):
        self.server = server
        self.typed: set[str] = set()

    def type(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        if not words or " ".join(words) in self.typed:
            return
        self.typed.add(" ".join(words))
        if words[0] == "make":
            dry = ["make", "--dry-run", *words[1:]]
            subprocess.run(dry, cwd=ROOT, check=True, capture_output=True)
            return
        assert words[0] == "kaggle-digits", line
        if words[1] == "record" or "--jobs" in words or words == EXPORT:  # parsed only: takes long
            command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
            command.make_context(words[1], words[2:])
            return
        real = words[1] == "export" or "--model" in words
        # A page's own recipe would save a checkpoint after each of its many epochs.
        short = ["--epochs", "1"] if words[2:3] == ["--recipe"] and ".py" in words[3] else []
        with contextlib.nullcontext() if real else untrained.training_takes_no_time():
            done = CliRunner().invoke(app, [*words[1:], *short])
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Return a reader in a folder with data of the competition's form, runs, and downloads."""
    folder = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch, kaggle_server.running() as server:
        for units, (name, recipe) in enumerate(list(recipes.RECIPES.items()), start=4):
            training = replace(recipe.training, epochs=1, precision="float32")
            network = partial(untrained.tiny_network, recipe.image_shape, units)
            small = replace(recipe, network=network, training=training, deslant=None, space={})
            patch.setitem(recipes.RECIPES, name, small)
        for name, value in product.environment(**server.environment()).items():
            patch.setenv(name, value)
        for name in ("KAGGLE_DIGITS_INPUT", "KAGGLE_DIGITS_DATA"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(folder))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.chdir(folder)
        server.archive = prepare(folder)
        reader = Reader(server)
        for command in FIRST:
            reader.type(f"kaggle-digits {command}")
        yield reader


def prepare(folder: Path) -> bytes:
    """Write the files that the pages name; return the competition's zip."""
    pool = images(TRAIN_IMAGES + 100)
    rows = [",".join(map(str, row)) for row in pool.tolist()]
    train = "".join(f"{i % 10},{row}\n" for i, row in enumerate(rows[:TRAIN_IMAGES]))
    test = "".join(f"{rows[TRAIN_IMAGES + i % 100]}\n" for i in range(ROWS))
    files = {"train.csv": f"{HEADER}\n{train}", "test.csv": f"{TEST_HEADER}\n{test}"}
    downloads = folder / "Downloads"
    (folder / "input").mkdir()
    downloads.mkdir()
    path = downloads / "digit-recognizer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    archive = path.read_bytes()
    (folder / "input" / "digit-recognizer.zip").write_bytes(archive)
    arrays: dict[str, Any] = dict(mnist_arrays(120, 40))
    np.savez(downloads / "mnist.npz", **arrays)
    write_cifar10_archive(downloads / "cifar-10-python.tar.gz")
    answers = "".join(f"{i},{i % 10}\n" for i in range(1, ROWS + 1))
    (folder / "answers.csv").write_text(f"ImageId,Label\n{answers}")
    for name in ("photo.jpg", "scan.png"):
        page = drawn.page([drawn.written(digit) for digit in (4, 2, 7)])
        drawn.saved(folder / name, drawn.photo(page))
    return archive


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_can_be_typed(page, reader):
    names: dict[str, object] = {}
    blocks = FENCE.findall(text(page))
    assert blocks, page
    for reason, language, code in blocks:
        if language == "sh" and not reason:
            for line in code.splitlines():
                reader.type(line)
        elif language == "python" and not reason:
            if named := re.match(r"# (\w+\.py)\n", code):
                Path(named[1]).write_text(code, encoding="utf-8")
            with untrained.training_takes_no_time():
                exec(compile(code, page, "exec"), names)  # noqa: S102 — our own pages
        else:
            assert reason in REASONS or language in {"text", "toml"}, (
                f"{page}: {reason}, {language}"
            )


def test_a_block_is_left_out_for_a_known_reason_only():
    reasons = [reason for page in PAGES for reason, _, _ in FENCE.findall(text(page)) if reason]
    assert set(reasons) <= REASONS
    assert len(reasons) < sum(len(FENCE.findall(text(page))) for page in PAGES) / 4


def test_every_page_is_tested():
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    # The log is history, the design has no commands, and the reference is generated.
    assert pages - set(PAGES) == {"docs/LOG.md", "docs/cli.md", "docs/design.md"}


def test_the_command_reference_is_up_to_date():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if f"typer=={metadata.version('typer')}" not in pins:
        pytest.skip("other versions of Typer print other help")
    written = make_cli_reference.PATH.read_text(encoding="utf-8")
    assert written == make_cli_reference.reference(), "stale: run `make docs`"


def all_commands(command, name="kaggle-digits"):
    if not hasattr(command, "commands"):
        yield name, command
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from all_commands(inner, f"{name} {inner_name}")


def test_every_option_says_what_it_does_and_its_default():
    for name, command in all_commands(typer.main.get_command(app)):
        for option in command.params:
            if option.param_type_name == "argument" or getattr(option, "hidden", False):
                continue
            record = option.get_help_record(command.context_class(command))
            assert record[1].strip().endswith((".", "]")), (name, option.name)
            optional = option.default is None and option.name not in WITHOUT_DEFAULT
            says = "default:" in record[1] or "Required." in record[1]
            assert not optional or says, (name, option.name)


# Options that do something only if they are given.
WITHOUT_DEFAULT = {
    "from_", "as_", "augment", "html", "labels", "show", "suspects", "vote", "images", "model",
    "save_debug", "file", "log",
}  # fmt: skip


def test_links_lead_somewhere():
    for page in (*PAGES, "SECURITY.md", "CHANGELOG.md", "docs/LOG.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
            if target.startswith("http"):
                continue
            name, _, heading = target.partition("#")
            path = (ROOT / page).parent / name if name else ROOT / page
            assert path.exists(), f"{page}: {target}"
            if heading:
                headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
                assert heading in anchors, f"{page}: {target}"


def test_the_readme_fits_in_three_minutes():
    assert len(text("README.md").splitlines()) <= 150


def test_the_recipe_guide_names_every_setting():
    named = re.findall(r"^\| `(\w+)` \|", text("docs/guide/recipes.md"), re.MULTILINE)
    assert named == [field.name for field in fields(recipes.Training)]


def test_contributing_names_every_make_target():
    targets = re.findall(r"^([a-z-]+):.*## ", text("Makefile"), re.MULTILINE)
    assert len(targets) > 8
    for target in set(targets) - {"help"}:
        assert f"| `make {target}` |" in text("docs/contributing.md"), target


def test_versions_agree():
    project = tomllib.loads(text("pyproject.toml"))["project"]
    assert project["version"] == __version__
    assert f"## {__version__}" in text("CHANGELOG.md")


def test_constraints_hold_names_and_versions_only():
    lines = text("constraints.txt").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.+]*", line) for line in lines)
