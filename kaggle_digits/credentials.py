"""Where Kaggle's client would find credentials; told without importing it. A leaf.

The order is the client's own (2.2.4): a token, then a user name with a key, then OAuth.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKEN = "KAGGLE_API_TOKEN"  # noqa: S105 — the variable's name
LONGEST_TEXT = 300
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)

HOW_TO_GET = (
    "Make a token at https://www.kaggle.com/settings (API, Create New Token) and save it as "
    f"~/.kaggle/access_token, or put it into the variable {TOKEN}"
)


@dataclass(frozen=True)
class Credentials:
    """What the client would sign in with.

    Attributes:
        source: the variable or file that they come from, as a message names it.

    """

    source: str
    secret: str = field(repr=False)


def find(environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """Return the credentials that the client would take first; None if there are none."""
    return next(_all(environment), None)


def scrubbed(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return ``text``, which came from outside, fit to be shown: one line, short, no secrets.

    Addresses go too: the client's texts hold signed ones, and whoever has one may write there.
    """
    for credentials in _all(environment):
        text = text.replace(credentials.secret, "(secret)")
    text = " ".join(ADDRESS.sub("(address)", text).split())
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _all(environment: Mapping[str, str]) -> Iterator[Credentials]:
    home = Path(environment.get("HOME") or Path.home())
    if token := environment.get(TOKEN, ""):
        yield Credentials(TOKEN, _text(Path(token)) or token)
    for name in ("access_token", "access_token.txt"):
        if saved := _text(home / ".kaggle" / name):
            yield Credentials(f"~/.kaggle/{name}", saved)
    yield from _keys(environment, home)
    signed_in = _json(home / ".kaggle" / "credentials.json")
    for name in ("refresh_token", "access_token"):
        if signed_in.get(name):
            yield Credentials("~/.kaggle/credentials.json", str(signed_in[name]))


def _keys(environment: Mapping[str, str], home: Path) -> Iterator[Credentials]:
    path = _config_folder(environment, home) / "kaggle.json"
    saved = _json(path)
    # The variables go over the file field by field.
    user = environment.get("KAGGLE_USERNAME") or saved.get("username")
    key = environment.get("KAGGLE_KEY") or saved.get("key")
    if user and key:
        yield Credentials("KAGGLE_KEY" if environment.get("KAGGLE_KEY") else path.name, str(key))


def _config_folder(environment: Mapping[str, str], home: Path) -> Path:
    if named := environment.get("KAGGLE_CONFIG_DIR"):
        return Path(named)
    usual = home / ".kaggle"
    if usual.exists() or not sys.platform.startswith("linux"):
        return usual
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "kaggle"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):  # not there, not readable, or the token itself taken for a path
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(_text(path)))
    except (ValueError, TypeError, RecursionError):  # the client, too, takes it for none
        return {}
