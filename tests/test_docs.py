"""What the README says can be typed."""

import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from kaggle_digits import __version__
from kaggle_digits.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^kaggle-digits ([a-z].*?)(?:  |$)", README, re.MULTILINE)


def command_of(words: list[str]):
    """Return the command that ``words`` begin with."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return command


@pytest.mark.parametrize("text", COMMANDS)
def test_commands_and_options_of_the_readme_exist(text):
    words = text.split()
    known = {name for param in command_of(words).params for name in param.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_readme_names_every_command():
    top = typer.main.get_command(app)
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        for inner in getattr(command, "commands", [""]):
            assert f"kaggle-digits {name} {inner}".strip() in README


def test_the_readme_names_every_make_target():
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(targets) > 8
    for target in targets:
        assert re.search(rf"make {target}\b|`{target}`", README), target


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_hold_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.+]*", line) for line in lines)
