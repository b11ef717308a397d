"""Find the credentials that Kaggle's client would use, and explain why it ignores others.

The client itself is not imported. The order of sources is that of client 2.2.4: a token, then a
user name with a key, then OAuth.
"""

import base64
import codecs
import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from kaggle_digits.terminal_text import plain

TOKEN = "KAGGLE_API_TOKEN"  # noqa: S105 — the variable's name
FOLDER = "KAGGLE_CONFIG_DIR"
OAUTH = "~/.kaggle/credentials.json"
MAX_LENGTH = 300  # characters of a text from outside
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
# A secret follows a header's name or has a digit: "Basic authentication required" is not a secret.
AUTHORIZATION = re.compile(
    r"(authorization\W+(?:basic|bearer)|\b(?:basic|bearer)(?=\s+\S*\d))\s+[\w.~+/=-]{4,}",
    re.IGNORECASE,
)
TYPOGRAPHIC = "“”„‟‘’‚‛«»″′"  # noqa: RUF001 — look-alikes are what is searched for

HOW_TO_GET = (
    "Create a token at https://www.kaggle.com/settings (API, Create New Token) and save it as "
    f"~/.kaggle/access_token, or set the variable {TOKEN}"
)


@dataclass(frozen=True)
class Credentials:
    """The credentials that the client would use.

    Attributes:
        source: the variable or file that holds them, as messages name it.
        user: the user name of a key; "" for a token.

    """

    source: str
    secret: str = field(repr=False)
    user: str = ""

    @property
    def is_token(self) -> bool:
        """Whether it is a token, neither a key nor OAuth."""
        return not self.user and self.source != OAUTH


def find(environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """Return the credentials that the client would use; None if there are none."""
    return next(_all(environment), None)


def explain_missing(environment: Mapping[str, str] = os.environ) -> str:
    """Return why `find` finds nothing and how to get credentials, without a final full stop."""
    found = list(problems(environment))
    if not found:
        return f"no credentials for Kaggle. {HOW_TO_GET}"
    return (
        f"no credentials that Kaggle's client can use: {'; '.join(found)}. Correct this, "
        f"or {HOW_TO_GET[0].lower()}{HOW_TO_GET[1:]}"
    )


# ----------------------------------------------------------------------------------------- sources


def _all(environment: Mapping[str, str]) -> Iterator[Credentials]:
    home = _home(environment)
    if token := _value(environment, TOKEN):
        # If the token is a file's name, the client reads that file and no other token.
        if content := _text(Path(token)) if _exists(Path(token)) else token:
            yield Credentials(TOKEN, content)
    else:
        for path in _token_files(home):
            if saved := _text(path):
                yield Credentials(_shown(path, home), saved)
    yield from _keys(environment, home)
    signed_in = _json(home / ".kaggle" / "credentials.json")
    for name in ("refresh_token", "access_token"):
        if signed_in.get(name):
            yield Credentials(OAUTH, str(signed_in[name]))


def _token_files(home: Path) -> list[Path]:
    return [home / ".kaggle" / name for name in ("access_token", "access_token.txt")]


def _keys(environment: Mapping[str, str], home: Path) -> Iterator[Credentials]:
    path = _config_folder(environment, home) / "kaggle.json"
    saved = _json(path)
    # The variables override the file field by field.
    user = _value(environment, "KAGGLE_USERNAME") or saved.get("username")
    variable = _value(environment, "KAGGLE_KEY")
    key = variable or saved.get("key")
    if user and key:
        yield Credentials("KAGGLE_KEY" if variable else _shown(path, home), str(key), str(user))


def _config_folder(environment: Mapping[str, str], home: Path) -> Path:
    if named := _value(environment, FOLDER):
        return Path(os.path.expanduser(named))  # noqa: PTH111 — "~nobody" raises in pathlib
    usual = home / ".kaggle"
    if usual.exists() or not sys.platform.startswith("linux"):
        return usual
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "kaggle"


def _home(environment: Mapping[str, str]) -> Path:
    # Not Path.home: it raises for a user without a home, as in a container.
    return Path(environment.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111


def _value(environment: Mapping[str, str], name: str) -> str:
    # The client's process gets its variables stripped too: a line break in one breaks the header.
    return environment.get(name, "").strip()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a token that cannot be a file name
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(_text(path)))
    except (ValueError, TypeError, RecursionError):  # the client, too, ignores a broken file
        return {}


def _shown(path: Path, home: Path) -> str:
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


# ---------------------------------------------------------------------------------------- problems


def problems(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield the problem of each of the credentials that the client ignores."""
    home = _home(environment)
    token = _value(environment, TOKEN)
    if token and _exists(Path(token)) and not _text(Path(token)):
        yield f"{TOKEN} names the file {token}, which {_why_no_text(Path(token))}"
    for path in _token_files(home):
        if _exists(path) and not _text(path):
            yield f"{_shown(path, home)} {_why_no_text(path)}"
    yield from _problems_of_keys(environment, home)
    path = home / ".kaggle" / "credentials.json"
    if _exists(path) and not _json(path).get("refresh_token"):
        yield f"{OAUTH} {_why_not_json(path) or 'holds no refresh_token'} (`kaggle auth login`)"


def _problems_of_keys(environment: Mapping[str, str], home: Path) -> Iterator[str]:
    folder = _config_folder(environment, home)
    path = folder / "kaggle.json"
    user = _value(environment, "KAGGLE_USERNAME")
    key = _value(environment, "KAGGLE_KEY")
    if named := _value(environment, FOLDER):
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            yield f"{FOLDER} is {named!r}, which {what} (expected the folder with kaggle.json)"
        elif not path.exists():
            yield f"{FOLDER} is {named!r}, a folder without kaggle.json"
    if _exists(path):
        saved = {} if (reason := _why_not_json(path)) else _json(path)
        reason = reason or _lacks(saved, {"username": user, "key": key})
        if reason:
            yield f"{_shown(path, home)} {reason}"
        return
    for other in _alike(folder):
        yield f"{_shown(other, home)} is not read, because the file has to be called kaggle.json"
    if bool(user) != bool(key):
        there, lacking = ("KAGGLE_USERNAME", "KAGGLE_KEY")[:: 1 if user else -1]
        yield f"{there} is set, but {lacking} is not"


def _alike(folder: Path) -> list[Path]:
    """Return up to three files that a browser or Windows may have renamed from kaggle.json."""
    with contextlib.suppress(OSError):
        return sorted(folder.glob("kaggle*.json*"))[:3]
    return []


def _why_no_text(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    try:
        path.read_text(encoding="utf-8")
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:
        return "is not UTF-8 text"
    return "is empty"


def _why_not_json(path: Path) -> str:
    """Return why ``path`` cannot be read as a JSON object; "" if it can."""
    try:
        content = path.read_bytes()
        text = content.decode()
        value = json.loads(text)
    except OSError as error:
        return "is a folder" if path.is_dir() else f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return f"is {'UTF-16' if utf16 else 'not UTF-8'} text (save it as UTF-8)"
    except json.JSONDecodeError as error:
        return _why_no_json_value(text, error)
    except (ValueError, RecursionError):
        return "is not JSON"
    return "" if isinstance(value, dict) else 'holds no {"username": "…", "key": "…"}'


def _why_no_json_value(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip("\ufeff\0 \t\r\n"):
        return "is empty"
    if text.startswith("\ufeff"):
        return "begins with a byte-order mark (save it as UTF-8 without BOM)"
    if "\0" in text:
        return "is UTF-16 text (save it as UTF-8)"
    if quotes := sorted(set(text) & set(TYPOGRAPHIC)):
        return f'has typographic quotes, {" ".join(quotes)} (expected the straight ones, ")'
    if "'" in text:
        return "has single quotes, ' (JSON needs double ones, \")"
    return f"is not JSON ({error.msg}, line {error.lineno}, column {error.colno})"


def _lacks(saved: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    """Return which field neither the file nor a variable has; "" if both are there."""
    lacking = [f'"{name}"' for name in variables if not variables[name] and not saved.get(name)]
    return f"has no {' and no '.join(lacking)}" if lacking else ""


def describe_oddity(secret: str) -> str:
    """Return why ``secret`` cannot be a token or key; "" if it can."""
    if secret.startswith("\ufeff"):
        return "Its file begins with a byte-order mark: save it as UTF-8 without BOM."
    if re.search(r"\s", secret):
        return "It contains a space or a line break, which no token has."
    if set(secret) & set(TYPOGRAPHIC + "\"'"):
        return "It contains quotes, which no token has."
    return "" if secret.isascii() else "It contains characters that no token has."


# -------------------------------------------------------------------------------- to be kept secret


def scrub(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return ``text`` from outside as one short line without secrets, safe to print.

    Secrets are also removed in base64 and URL-encoded form, as headers and logs contain them.
    Addresses are removed, because the client's texts may contain signed ones, which allow anyone to
    write there. Control characters are escaped.
    """
    forms = {form for found in _all(environment) for form in _forms(found)}
    if forms:
        longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
        text = re.sub("|".join(longest_first), "(secret)", text, flags=re.IGNORECASE)
    text = AUTHORIZATION.sub(r"\1 (secret)", ADDRESS.sub("(address)", text))
    return plain(" ".join(text.split()), MAX_LENGTH)


def _forms(found: Credentials) -> Iterator[str]:
    for secret in filter(None, (found.secret, found.user and f"{found.user}:{found.secret}")):
        yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret))
        content = secret.encode("utf-8", "surrogateescape")
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(content).decode("ascii")
            yield from (encoded, encoded.rstrip("="), quote_plus(encoded))


def environment_without_credentials() -> dict[str, str]:
    """Return the environment variables for a process that does not need Kaggle."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE_")}


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """Let processes that start in the block inherit `environment_without_credentials`."""
    before = dict(os.environ)
    for name in before.keys() - environment_without_credentials().keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)
