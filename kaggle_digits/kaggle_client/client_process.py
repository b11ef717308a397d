"""Run Kaggle's client in a process of its own. Only this module imports kaggle.

The client has no timeouts, signs in while it is imported, retries for minutes silently, and prints
texts that may contain signed addresses. A separate process can be ended at a deadline, after which
it certainly sends nothing more, and its output is discarded.
"""

import contextlib
import errno
import json
import os
import re
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from kaggle_digits import child_processes

COMPETITION = "digit-recognizer"
SERVICE = "competitions.CompetitionApiService"
KERNELS = "kernels.KernelsApiService"
PAGE_SIZE = 200
LOG_LINES = 200  # last lines of a kernel's log
CHUNK = 1 << 16  # bytes
READY = "ready"
REFUSED_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


def serve(connection: Connection) -> None:
    """Answer ``(name, arguments)`` with ``{"value": …}`` or ``{"failure": kind, …}`` until EOF."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    child_processes.end_with_parent()
    _mend_variables()
    try:
        api = _client()
    except BaseException as error:  # noqa: BLE001 — reported to the parent
        connection.send(f"{type(error).__name__}: {error}")
        return
    connection.send(READY)
    signed_in = False
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while True:
            name, arguments = connection.recv()
            try:
                if not signed_in:
                    api.authenticate()
                    signed_in = True
                answer = {"value": CALLS[name](api, *arguments)}
            except (Exception, SystemExit) as error:  # noqa: BLE001 — reported to the parent
                answer = _failure(error, signed_in=signed_in)
            connection.send(answer)


def _mend_variables() -> None:
    """Strip the client's variables, and expand ``~`` in that of its folder.

    A token with a line break cannot be sent in a header, the client would create a folder ``~``,
    and it would use an empty key.
    """
    for name, value in list(os.environ.items()):
        if name.startswith("KAGGLE_"):
            os.environ[name] = value.strip()
            if not value.strip():
                del os.environ[name]
    if folder := os.environ.get("KAGGLE_CONFIG_DIR"):
        os.environ["KAGGLE_CONFIG_DIR"] = os.path.expanduser(folder)  # noqa: PTH111 — never raises


def _client() -> Any:
    """Import the client with the network disabled: the import signs in and ignores a failure."""
    import requests
    import tqdm

    # The client's lock is a system semaphore, which a killed process would leak with a warning.
    tqdm.tqdm.set_lock(threading.RLock())

    def refuse(*_: object, **__: object) -> None:
        raise requests.exceptions.ConnectionError("not while importing")

    session: Any = requests.Session
    send, session.send = session.send, refuse
    try:
        from kaggle.api.kaggle_api_extended import KaggleApi
    finally:
        session.send = send
    api: Any = KaggleApi()
    return api


class _Json:
    """Response type that keeps the JSON: the client's types raise KeyError for a new status."""

    @staticmethod
    def prepare_from(response: Any) -> Any:
        return response.json()


def _download(api: Any, folder: str) -> None:
    api.competition_download_files(COMPETITION, path=folder, force=True, quiet=True)


def _submit(api: Any, path: str, message: str) -> dict[str, Any]:
    answer = api.competition_submit(path, message, COMPETITION, quiet=True)
    failed = answer.message == api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE
    return {"ref": answer.ref, "message": answer.message, "uploaded": not failed}


def _limits(api: Any) -> dict[str, int]:
    limits = api.competition_get_submission_limits(COMPETITION)
    return {"today": limits.num_today or 0, "left": limits.num_allowed_now or 0}


def _submissions(api: Any, page_token: str) -> Any:
    from kagglesdk.competitions.types.competition_api_service import ApiListSubmissionsRequest

    request = ApiListSubmissionsRequest()
    return _page(api, "ListSubmissions", request, page_token)


def _leaderboard(api: Any, page_token: str) -> Any:
    from kagglesdk.competitions.types.competition_api_service import ApiGetLeaderboardRequest

    request = ApiGetLeaderboardRequest()
    request.override_public = True
    return _page(api, "GetLeaderboard", request, page_token)


def _page(api: Any, method: str, request: Any, page_token: str) -> Any:
    request.competition_name = COMPETITION
    request.page_size = PAGE_SIZE
    request.page_token = page_token
    with api.build_kaggle_client() as kaggle:
        return kaggle.http_client().call(SERVICE, method, request, _Json)


def _user(api: Any) -> str:
    return str(api.get_config_value(api.CONFIG_NAME_USER) or "")


def _push_kernel(api: Any, folder: str, seconds: str) -> dict[str, Any]:
    answer = api.kernels_push(folder, timeout=seconds)
    return {
        "error": answer.error or "",
        "version": answer.version_number or None,
        "url": answer.url or "",
        "invalid": list(answer.invalid_competition_sources or []),
    }


def _kernel_status(api: Any, kernel: str) -> Any:
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    return _ask_about_kernel(
        api, "GetKernelSessionStatus", ApiGetKernelSessionStatusRequest(), kernel
    )


def _kernel_source(api: Any, kernel: str) -> dict[str, Any]:
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

    answer = _ask_about_kernel(api, "GetKernel", ApiGetKernelRequest(), kernel)
    about = answer.get("metadata") or {}
    return {
        "source": (answer.get("blob") or {}).get("source") or "",
        "version": about.get("currentVersionNumber"),
    }


_addresses: dict[str, str] = {}  # of output files; signed, so they stay in this process


def _kernel_output(api: Any, kernel: str, page_token: str) -> dict[str, Any]:
    from kagglesdk.kernels.types.kernels_api_service import ApiListKernelSessionOutputRequest

    request = ApiListKernelSessionOutputRequest()
    request.page_size = PAGE_SIZE
    request.page_token = page_token
    answer = _ask_about_kernel(api, "ListKernelSessionOutput", request, kernel)
    if not page_token:
        _addresses.clear()
    listed = {str(file["fileName"]): str(file["url"]) for file in answer.get("files") or []}
    _addresses.update(listed)
    lines = split_log(answer.get("log") or "")
    return {
        "files": list(listed),
        "log": lines[-LOG_LINES:],
        "lines": len(lines),
        "nextPageToken": answer.get("nextPageToken") or "",
    }


def _kernel_file(_: Any, name: str, path: str, limit: str) -> int:
    """Write the output file ``name`` to ``path`` and return its size.

    Stops one byte after ``limit``. The client's own `kernels_output` uses the server's names as
    paths, saves the text of an error as the file, and accepts any size.
    """
    import requests

    written = 0
    with (
        requests.get(_addresses[name], stream=True) as response,  # noqa: S113 — the parent's deadline
        open(path, "wb") as file,  # noqa: PTH123
    ):
        response.raise_for_status()
        for chunk in response.iter_content(CHUNK):
            written += file.write(chunk)
            if written > int(limit):
                break
    return written


def _ask_about_kernel(api: Any, method: str, request: Any, kernel: str) -> Any:
    request.user_name, _, request.kernel_slug = kernel.partition("/")
    with api.build_kaggle_client() as kaggle:
        return kaggle.http_client().call(KERNELS, method, request, _Json)


def split_log(log: str) -> list[str]:
    """Return the lines of a kernel's log: a JSON list of pieces of text, or plain text."""
    try:
        events = json.loads(log)
        text = "".join(str(event["data"]) for event in events)
    except (ValueError, TypeError, KeyError, RecursionError):
        text = log
    return text.splitlines()


CALLS: dict[str, Callable[..., Any]] = {
    "download": _download,
    "user": _user,
    "push_kernel": _push_kernel,
    "kernel_status": _kernel_status,
    "kernel_source": _kernel_source,
    "kernel_output": _kernel_output,
    "kernel_file": _kernel_file,
    "submit": _submit,
    "limits": _limits,
    "submissions": _submissions,
    "leaderboard": _leaderboard,
}


def _failure(error: BaseException, *, signed_in: bool) -> dict[str, Any]:
    """Return the kind, the status and the text of ``error`` for the parent."""
    import requests

    failures = requests.exceptions
    text, response = f"{type(error).__name__}: {error}", getattr(error, "response", None)
    # Compared with None, because a response with an error status is falsy.
    if isinstance(error, failures.HTTPError) and response is not None:
        status = response.status_code
        if status < 400:  # noqa: PLR2004 — an error in the body of a successful response
            status = int(response.json().get("code", 0))
        return {"failure": "http", "status": status, "text": str(error)}
    if isinstance(error, failures.ProxyError) and (refusal := REFUSED_TUNNEL.search(str(error))):
        return {"failure": "http", "status": int(refusal[1]), "text": "the proxy's answer"}
    kind = "other"
    if isinstance(error, SystemExit):
        kind = "no sign-in"
    elif isinstance(error, failures.InvalidURL | failures.InvalidSchema):
        kind = "proxy"  # Kaggle's own addresses are valid
    elif _is_about_credentials(error, signed_in=signed_in):
        kind = "credentials"
    elif isinstance(error, ValueError | KeyError | TypeError | AttributeError):
        kind = "format"
    elif isinstance(error, failures.SSLError):
        kind, text = "certificate", _reason(error)
    elif isinstance(error, OSError):  # requests' exceptions are among them
        kind, text = "network", _reason(error)
    return {"failure": kind, "status": None, "text": text}


def _is_about_credentials(error: BaseException, *, signed_in: bool) -> bool:
    """Return whether a token or key cannot be read from its file or sent in a header."""
    unreadable = not signed_in and getattr(error, "filename", None) is not None
    return unreadable or isinstance(error, UnicodeError) or "Invalid header value" in str(error)


def _reason(error: BaseException) -> str:
    """Return the system's reason for a failed connection, from the chain of exceptions."""
    import socket
    import ssl

    below: list[Any] = [error]
    for cause in below:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message)
        # The errors of TLS and of name resolution have their own error numbers.
        if isinstance(cause, ssl.SSLError | socket.gaierror):
            return str(cause.strerror or cause.args[0])
        number: Any = getattr(cause, "errno", None)
        if number in errno.errorcode:
            return os.strerror(number)
        inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        below += [two for two in inner if isinstance(two, BaseException) and two not in below]
    return type(below[-1]).__name__
