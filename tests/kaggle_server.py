"""Kaggle's protocol on the loopback, as the real client speaks it, with faults to order.

The client is sent here by ``KAGGLE_API_ENVIRONMENT=LOCALHOST`` and a proxy variable, so requests
come with absolute targets. Nothing here ever opens a connection to anywhere.
"""

import base64
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

USER, KEY, TOKEN = "someone", "a-key-5f1c0c6a", "KGAT_a-token-77d0"
SIGNATURE = "a-signature-90ab"
SECRETS = (KEY, TOKEN, SIGNATURE, base64.b64encode(f"{USER}:{KEY}".encode()).decode())
UPLOAD = f"http://localhost/upload/blob?signature={SIGNATURE}"
OUTPUT = "http://localhost/output/"
STORAGE = f"http://localhost/storage/digit-recognizer.zip?signature={SIGNATURE}"

HANG, RESET, HTML, CUT = "hang", "reset", "html", "cut"
STALL = "stall"  # of a file: half of it comes, and then nothing more
# What was asked is done, and then the answer is lost or never comes.
LOSE_ANSWER, DO_AND_HANG = "lose the answer", "do and hang"
INACTIVE = "inactive"  # of a token that was revoked


class Server(ThreadingHTTPServer):
    """What Kaggle would know, and what it is to do wrong.

    ``faults`` maps a method's name, ``PUT`` or ``GET`` to an HTTP status or one of the words above.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.closing = threading.Event()
        self.faults: dict[str, Any] = {}
        self.calls: list[str] = []
        self.archive = b""
        self.submissions: list[dict[str, Any]] = []
        self.uploaded: list[bytes] = []
        self.upload_name = ""
        self.left = 5
        self.board: list[float] = [1.0, 0.99757, 0.99, 0.98]
        self.scored: dict[str, Any] = {"status": "COMPLETE", "publicScore": "0.99"}
        self.looks = 0  # at the list, before a submission is scored
        self.late = 0  # looks at the list, before it holds a new submission
        self.hidden = 0  # of these, how many are to come
        self.clock = timedelta()  # how far Kaggle's clock is ahead of the one here
        self.kernels: dict[str, list[dict[str, Any]]] = {}  # by user/name, each version as it came
        self.sessions = ["QUEUED", "RUNNING", "COMPLETE"]  # what each look at a kernel tells
        self.failure = ""  # of a kernel that ended in ERROR
        self.log = ""
        self.output: dict[str, bytes] = {}  # of a kernel, by file name
        self.save_error = ""  # why a kernel is not taken
        self.left_out: tuple[str, ...] = ()  # fields that the list does not have

    def environment(self, *, timeout: float = 20, token: bool = False) -> dict[str, str]:
        """Return what sends the real client here, with credentials, and with little patience."""
        proxy = f"http://127.0.0.1:{self.server_address[1]}"
        signed_in = (
            {"KAGGLE_API_TOKEN": TOKEN} if token else {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": KEY}
        )
        return signed_in | {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "HTTP_PROXY": proxy,
            "http_proxy": proxy,
            "KAGGLE_DIGITS_TIMEOUT": str(timeout),
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed are part of the tests."""


@contextmanager
def running() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        method = urlsplit(self.path).path.rpartition("/")[2]
        self.server.calls.append(method)
        if self._fails(method):
            return
        if method != "IntrospectToken" and not self._is_signed_in():
            self._answer({"code": 401, "message": "Unauthenticated"}, 401)
            return
        getattr(self, f"_{method}")(body)

    def do_PUT(self) -> None:
        self.server.calls.append("PUT")
        if self.server.faults.get("PUT") == RESET:
            self._reset()
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._fails("PUT"):
            self.server.uploaded.append(body)
            self._answer_unless_lost("PUT", {})

    def do_CONNECT(self) -> None:
        """Refuse a tunnel, as a proxy that wants a password does."""
        self.server.calls.append("CONNECT")
        self.send_error(407)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.calls.append("GET")
        if path.startswith("/output/"):
            self._send_output(unquote(path.removeprefix("/output/")))
            return
        if self._fails("GET"):
            return
        whole, fault = self.server.archive, self.server.faults.get("GET")
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(whole) - start))
        self.send_header("ETag", '"one"')
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(whole[start : len(whole) // 2] if fault == CUT else whole[start:])
        self.close_connection = True

    def _send_output(self, name: str) -> None:
        """Send a kernel's output file; ``faults`` may name it, as ``GET runs/x/run.json``."""
        key = f"GET {name}" if f"GET {name}" in self.server.faults else "GET"
        if self._fails(key):
            return
        content, fault = self.server.output[name], self.server.faults.get(key)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault in (CUT, STALL) else content)
        if fault == STALL:
            self.wfile.flush()
            self.server.closing.wait(60)
        self.close_connection = True

    def _is_signed_in(self) -> bool:
        given = self.headers.get("Authorization", "")
        basic = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
        return given in (f"Basic {basic}", f"Bearer {TOKEN}")

    def _fails(self, method: str) -> bool:
        """Do what is to go wrong with ``method``, if anything; return whether that was all."""
        fault = self.server.faults.get(method)
        if isinstance(fault, tuple):
            self._answer({"code": fault[0], "message": fault[1]}, fault[0])
        elif isinstance(fault, int):
            text = f"code {fault} {KEY} see {UPLOAD}"
            self._answer({"code": fault, "message": text}, fault)
        elif fault == HTML:
            self._answer(b"<html>Please sign in</html>", kind="text/html")
        elif fault == HANG:
            self.server.closing.wait(60)
        elif fault == RESET:
            self._reset()
        else:
            return False
        return True

    def _answer_unless_lost(self, method: str, value: Any) -> None:
        """Answer what was done, if nothing is to go wrong with the answer."""
        fault = self.server.faults.get(method)
        if fault == DO_AND_HANG:
            self.server.closing.wait(60)
        elif fault == LOSE_ANSWER:
            self._reset()
        else:
            self._answer(value)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _answer(self, value: Any, status: int = 200, kind: str = "application/json") -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _IntrospectToken(self, body: dict[str, Any]) -> None:  # noqa: N802 — Kaggle's names
        if self.server.faults.get("IntrospectToken") == INACTIVE:
            self._answer({"active": False, "username": ""})
        elif body["token"] == TOKEN:
            self._answer({"active": True, "username": USER})
        else:
            self._answer({"code": 401, "message": "Unauthenticated"}, 401)

    def _DownloadDataFiles(self, _: dict[str, Any]) -> None:  # noqa: N802
        self.send_response(302)
        self.send_header("Location", STORAGE)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _StartSubmissionUpload(self, body: dict[str, Any]) -> None:  # noqa: N802
        self.server.upload_name = body["fileName"]
        self._answer({"token": f"blob-{SIGNATURE}", "createUrl": UPLOAD})

    def _CreateSubmission(self, body: dict[str, Any]) -> None:  # noqa: N802
        reference = 1001 + len(self.server.submissions)
        entry = {
            "ref": reference,
            "fileName": self.server.upload_name,
            "totalBytes": len(self.server.uploaded[-1]),
            "description": body.get("submissionDescription", ""),
            "date": (datetime.now(UTC) + self.server.clock).strftime("%Y-%m-%dT%H:%M:%S.123456Z"),
            "status": "PENDING",
            "url": UPLOAD,
        }
        self.server.submissions.insert(0, entry)
        self.server.hidden = self.server.late
        answer = {"message": "Successfully submitted", "ref": reference}
        self._answer_unless_lost("CreateSubmission", answer)

    def _ListSubmissions(self, _: dict[str, Any]) -> None:  # noqa: N802
        self.server.looks -= 1
        if self.server.looks < 0 and self.server.submissions:
            self.server.submissions[0].update(self.server.scored)
        listed = self.server.submissions
        if self.server.hidden > 0:
            self.server.hidden -= 1
            listed = listed[1:]
        listed = [
            {name: value for name, value in entry.items() if name not in self.server.left_out}
            for entry in listed
        ]
        self._answer({"submissions": listed, "nextPageToken": ""})

    def _GetSubmissionLimits(self, _: dict[str, Any]) -> None:  # noqa: N802
        made = len(self.server.submissions)
        self._answer({"numToday": made, "numTotal": made, "numAllowedNow": self.server.left - made})

    def _GetLeaderboard(self, body: dict[str, Any]) -> None:  # noqa: N802
        start = int(body.get("pageToken") or 0)
        entries = [
            {"teamId": i, "teamName": f"team {i}", "score": str(score)}
            for i, score in enumerate(self.server.board[start : start + 2])
        ]
        more = str(start + 2) if start + 2 < len(self.server.board) else ""
        self._answer({"submissions": entries, "nextPageToken": more})

    def _SaveKernel(self, body: dict[str, Any]) -> None:  # noqa: N802
        if self.server.save_error:
            self._answer({"error": self.server.save_error})
            return
        versions = self.server.kernels.setdefault(body["slug"], [])
        versions.append(body)
        url = f"https://www.kaggle.com/code/{body['slug']}"
        answer = {"ref": body["slug"], "url": url, "versionNumber": len(versions), "error": ""}
        self._answer_unless_lost("SaveKernel", answer)

    def _versions_of(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what was pushed under the name that ``body`` asks for; answer 403 if nothing."""
        versions = self.server.kernels.get(f"{body['userName']}/{body['kernelSlug']}", [])
        if not versions:
            self._answer({"code": 403, "message": "Permission 'kernels.get' was denied"}, 403)
        return versions

    def _GetKernel(self, body: dict[str, Any]) -> None:  # noqa: N802
        if versions := self._versions_of(body):
            metadata = {"currentVersionNumber": len(versions), "slug": body["kernelSlug"]}
            self._answer({"metadata": metadata, "blob": {"source": versions[-1]["text"]}})

    def _GetKernelSessionStatus(self, body: dict[str, Any]) -> None:  # noqa: N802
        if self._versions_of(body):
            left = self.server.sessions
            status = left.pop(0) if len(left) > 1 else left[0]
            # The default value of an enumeration is left out.
            said = {} if status == "QUEUED" else {"status": status}
            self._answer(said | {"failureMessage": self.server.failure})

    def _ListKernelSessionOutput(self, body: dict[str, Any]) -> None:  # noqa: N802
        if not self._versions_of(body):
            return
        names, start = sorted(self.server.output), int(body.get("pageToken") or 0)
        end = start + 5
        files = [
            {"fileName": name, "url": f"{OUTPUT}{quote(name, safe='')}?signature={SIGNATURE}"}
            for name in names[start:end]
        ]
        more = str(end) if end < len(names) else ""
        self._answer({"files": files, "log": self.server.log, "nextPageToken": more})
