"""Explain each fault of Kaggle or the network, and what to do about it."""

import os
import re
from typing import Any
from urllib.parse import urlsplit

from kaggle_digits import credentials
from kaggle_digits.credentials import scrub
from kaggle_digits.errors import OutsideError
from kaggle_digits.kaggle_client.client_process import COMPETITION

ADDRESS = f"https://www.kaggle.com/competitions/{COMPETITION}"
RULES = f"{ADDRESS}/rules"
PROXY_SCHEMES = ("http", "https")
HOST = re.compile(r"[\w.:-]+")

PERHAPS_A_WEB_PAGE = (
    "It may be a web page: the network may require you to sign in, or Kaggle may be under "
    f"maintenance. Open {ADDRESS} in a browser, then run the same command again."
)


class KaggleError(OutsideError):
    """Kaggle or the network failed.

    Attributes:
        status: HTTP status; None if there was no readable answer.

    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_refusal(self) -> bool:
        """Whether Kaggle has certainly not carried out the request."""
        status = self.status or 0
        return 400 <= status < 500 and status != 408  # noqa: PLR2004 — HTTP's; 408 is a timeout


class UploadError(KaggleError):
    """The file never reached Kaggle, so nothing was submitted."""

    @property
    def is_refusal(self) -> bool:
        """Always true: the request was not sent."""
        return True


def explain(failure: dict[str, Any], doing: str, kernel: str = "") -> KaggleError:
    """Return a readable error for ``failure``.

    Args:
        failure: the client process's report: ``failure`` (its kind), ``status`` and ``text``.
        doing: the request in words, such as "the list of submissions".
        kernel: the kernel concerned, ``user/name``; "" for the competition.

    """
    kind, status = failure["failure"], failure.get("status")
    said = scrub(failure.get("text", ""))
    if kind == "http":
        return KaggleError(_http(status, f"{status}: {said}", doing, kernel), status)
    if kind == "no sign-in":
        return KaggleError(_no_sign_in(), 401)
    if kind == "credentials":
        return KaggleError(f"the credentials cannot be sent to Kaggle. {_which_credentials()}", 401)
    return KaggleError(_explain_unanswered(kind, said, doing))


def _explain_unanswered(kind: str, said: str, doing: str) -> str:
    if kind == "proxy" and (proxies := _proxies()):
        return (
            f"invalid proxy address in {proxies}: {doing}. Expected a form such as "
            "http://proxy.example.org:3128. Correct the variable or `unset` it, then run the same "
            "command again."
        )
    if kind == "certificate":
        return (
            f"Kaggle's certificate cannot be verified ({said}): {doing}. If your network inspects "
            "TLS, put the path of its CA file into REQUESTS_CA_BUNDLE; a wrong clock is another "
            "cause. Then run the same command again."
        )
    if kind == "network":
        proxies = _proxies()
        through = f" and the proxy in {proxies}" if proxies else ""
        return (
            f"the connection to Kaggle failed ({said}): {doing}. Check the network{through}, then "
            "run the same command again."
        )
    if kind in {"format", "proxy"}:
        return f"Kaggle's answer cannot be read: {doing}. {PERHAPS_A_WEB_PAGE}"
    return f"Kaggle's client failed ({said}): {doing}. Run the same command again."


def _http(status: int | None, said: str, doing: str, kernel: str) -> str:
    """Return a message for an HTTP status, with what to do."""
    texts = {
        400: f"Kaggle rejected the request ({said}): {doing}. The status 400 may mean that today's "
        f"submissions are used up: see {ADDRESS}/submissions.",
        401: f"Kaggle does not accept your credentials ({said}). {_which_credentials()}",
        403: f"Kaggle refuses access ({said}): {doing}. Sign in, accept the competition's rules at "
        f"{RULES} and run the same command again. Other causes: your phone number is not verified, "
        f"or the competition {COMPETITION!r} no longer exists.",
        404: f"not found on Kaggle ({said}): {doing}. Check that {ADDRESS} still exists; if it "
        "does, a newer version of the package kaggle may be needed.",
        407: f"the proxy in {_proxies() or 'HTTPS_PROXY'} requires a user name and password (407): "
        f"{doing}. Add them to its address, http://USER:PASSWORD@HOST:PORT, with special "
        "characters URL-encoded, then run the same command again.",
        429: f"Kaggle received too many requests ({said}): {doing}. Wait some minutes, then run "
        "the same command again.",
    }
    if kernel:
        texts |= _http_about_kernel(kernel, said, doing)
    return texts.get(
        status or 0,
        f"Kaggle failed ({said}): {doing}. The fault is on Kaggle's side: run the same command "
        "again later.",
    )


def _http_about_kernel(kernel: str, said: str, doing: str) -> dict[int, str]:
    """Return the messages of HTTP statuses that have another meaning for a kernel."""
    return {
        400: f"Kaggle rejected the request ({said}): {doing}. Correct the cause, then run the same "
        "command again.",
        403: f"Kaggle refuses access ({said}): {doing}. Check the name {kernel}; yours are listed "
        f"at https://www.kaggle.com/code (Your Work). To push one, accept the rules at {RULES}; a "
        "GPU requires a verified phone number, https://www.kaggle.com/settings.",
        404: f"not found on Kaggle ({said}): {doing}. Check the name {kernel}; yours are listed at "
        "https://www.kaggle.com/code (Your Work).",
    }


def _no_sign_in() -> str:
    """Return why the client is not signed in: no credentials, or a rejected token."""
    found = credentials.find()
    if found is None:
        return f"{credentials.explain_missing()}."
    if not found.is_token:
        return f"Kaggle does not accept your credentials. {_which_credentials()}"
    return f"Kaggle rejected the token. {_which_credentials()}"


def _which_credentials() -> str:
    found = credentials.find()
    if found is None:
        return f"{credentials.explain_missing()}."
    parts = [f"They came from {found.source}."]
    if found.is_token:
        text = f"The token came from {found.source}, which takes precedence over kaggle.json."
        parts = [f"{text} It may be revoked, expired or incomplete."]
    parts.append(credentials.describe_oddity(found.secret))
    parts += [f"Ignored: {problem}." for problem in credentials.problems()]
    if found.source == credentials.TOKEN:
        parts.append(f"If the token is old, `unset {credentials.TOKEN}`.")
    return f"{' '.join(filter(None, parts))} {credentials.HOW_TO_GET}."


def _proxies() -> str:
    """Return the names of the proxy variables: only the malformed ones if there are any."""
    named = {
        name: value.strip()
        for name, value in sorted(os.environ.items())
        if name.lower() in {"http_proxy", "https_proxy", "all_proxy"} and value.strip()
    }
    malformed = [name for name, value in named.items() if not _is_proxy(value)]
    return ", ".join(malformed or named)


def _is_proxy(value: str) -> bool:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port  # raises ValueError
    except ValueError:
        return False
    return bool(HOST.fullmatch(host)) and port != 0 and parts.scheme in PROXY_SCHEMES
