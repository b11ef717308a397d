"""What each fault between here and Kaggle means, and what to do about it."""

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
    "It is perhaps a web page: a hotel's or a company's network may ask you to sign in, or Kaggle "
    f"is under maintenance. Open {ADDRESS} in a browser, then run the same command again."
)


class KaggleError(OutsideError):
    """Kaggle, or the way there, failed.

    Attributes:
        status: HTTP's; None where no answer came, or none that can be read.

    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_refusal(self) -> bool:
        """Whether Kaggle has certainly not done what it was asked for."""
        status = self.status or 0
        return 400 <= status < 500 and status != 408  # noqa: PLR2004 — HTTP's; 408 is a timeout


class UploadError(KaggleError):
    """The file never reached Kaggle, so that there is certainly no submission."""

    @property
    def is_refusal(self) -> bool:
        """True: Kaggle was not even asked."""
        return True


def explain(failure: dict[str, Any], doing: str, kernel: str = "") -> KaggleError:
    """Return the error that tells a user what ``failure`` means.

    Args:
        failure: from the client's process: ``failure`` (its kind), ``status`` and ``text``.
        doing: what was asked of Kaggle, such as "the list of submissions".
        kernel: that it was about, ``user/name``; "" if it was about the competition.

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
            f"the address of the proxy cannot be used: {doing}. It is in {proxies}; expected "
            "a form such as http://proxy.example.org:3128. Correct the variable or `unset` it, "
            "then run the same command again."
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
    """Return what an HTTP status means here, and what to do about it."""
    texts = {
        400: f"Kaggle rejected the request ({said}): {doing}. A bare 400 has meant that today's "
        f"submissions are used up: see {ADDRESS}/submissions.",
        401: f"Kaggle does not accept your credentials ({said}). {_which_credentials()}",
        403: f"Kaggle refuses access ({said}): {doing}. Sign in, accept the competition's rules at "
        f"{RULES} and run the same command again. Other causes: the account's phone number is not "
        f"verified, or the competition {COMPETITION!r} no longer exists.",
        404: f"Kaggle does not find it ({said}): {doing}. Check that {ADDRESS} still exists; if it "
        "does, a newer version of the package kaggle may be needed.",
        407: f"the proxy in {_proxies() or 'HTTPS_PROXY'} requires a user name and password (407): "
        f"{doing}. Put them into its address, http://USER:PASSWORD@HOST:PORT, with special "
        "characters URL-encoded, then run the same command again.",
        429: f"Kaggle received too many requests ({said}): {doing}. Wait some minutes, then run "
        "the same command again.",
    }
    if kernel:
        texts |= _http_about_kernel(kernel, said, doing)
    return texts.get(
        status or 0,
        f"Kaggle failed ({said}): {doing}. The fault is not on your side: run the same command "
        "again later.",
    )


def _http_about_kernel(kernel: str, said: str, doing: str) -> dict[int, str]:
    """Return what the statuses mean that do not mean the same for a kernel."""
    return {
        400: f"Kaggle rejected the request ({said}): {doing}. Correct what it names, then run the "
        "same command again.",
        403: f"Kaggle refuses access ({said}): {doing}. Check the name {kernel}; yours are listed "
        f"at https://www.kaggle.com/code (Your Work). To push one, accept the rules at {RULES}; a "
        "GPU requires a verified phone number, https://www.kaggle.com/settings.",
        404: f"Kaggle does not find it ({said}): {doing}. Check the name {kernel}; yours are "
        "listed at https://www.kaggle.com/code (Your Work).",
    }


def _no_sign_in() -> str:
    """Return why the client signed in with nothing: it found nothing, or its token was rejected."""
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
        text = f"The token came from {found.source}, which wins over kaggle.json; it may have been"
        parts = [f"{text} revoked, have expired or be incomplete."]
    parts.append(credentials.describe_oddity(found.secret))
    parts += [f"Ignored: {problem}." for problem in credentials.problems()]
    if found.source == credentials.TOKEN:
        parts.append(f"If it is an old one, `unset {credentials.TOKEN}`.")
    return f"{' '.join(filter(None, parts))} {credentials.HOW_TO_GET}."


def _proxies() -> str:
    """Return the names of the variables that hold a proxy: the malformed ones if there are any."""
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
