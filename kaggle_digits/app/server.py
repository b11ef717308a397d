"""Serve the page: to this machine only, within limits, and without asking anyone for anything."""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kaggle_digits.app import page
from kaggle_digits.app.answers import MAX_DATA, Answerer
from kaggle_digits.app.page import Examples
from kaggle_digits.errors import InputError
from kaggle_digits.optional_packages import require_packages

LOOPBACK = "127.0.0.1"
FIRST_PORT, LAST_PORT = 7860, 7959  # Gradio's own
MAX_BODY = MAX_DATA + 100_000  # bytes of a request
CLOSE_SECONDS = 1

# Gradio serves and receives files there. The page needs neither.
CLOSED = tuple(f"/gradio_api/{name}" for name in ("upload", "file", "proxy", "stream"))
# Gradio compiles its components' scripts in the browser. Nothing may be fetched from elsewhere.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True)
class Address:
    """Where the page is served.

    Attributes:
        host: name or IP address to listen on.
        port: number of the port; None takes the first that is free from 7860 on.

    """

    host: str = LOOPBACK
    port: int | None = None


def require_gradio() -> None:
    """Raise an InputError unless Gradio is installed."""
    require_packages(["gradio"], extra="app", needed_by="the page")


def serve(
    answerer: Answerer, examples: Examples, address: Address, started: Callable[[str], object]
) -> None:
    """Serve the page until the process is interrupted.

    Args:
        answerer: answers what is drawn.
        examples: id and uint8 ``[28, 28, 1]`` of test images to choose from.
        address: where to listen.
        started: called with the page's URL once it can be opened.

    Raises:
        InputError: the address cannot be used, or Gradio is not installed.

    """
    require_gradio()
    with listen(address) as listening:
        host, port = listening.getsockname()[:2]
        import uvicorn

        names = (address.host.lower(), f"[{host}]" if ":" in host else host)
        application = build_application(answerer, examples, names, is_local=is_loopback(host))
        config = uvicorn.Config(
            application,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,  # a page that is open keeps a connection
        )
        server = uvicorn.Server(config)
        startup = server.startup

        async def tell(sockets: list[socket.socket] | None = None) -> None:
            await startup(sockets)
            started(f"http://{f'[{host}]' if ':' in host else host}:{port}/")

        server.startup = tell
        server.run(sockets=[listening])


def listen(address: Address) -> socket.socket:
    """Return a socket that listens at ``address``.

    Raises:
        InputError: the host is unknown, or no port is free.

    """
    wanted = [address.port] if address.port is not None else range(FIRST_PORT, LAST_PORT + 1)
    reason: OSError | None = None
    for port in wanted:
        try:
            family, _, _, _, place = socket.getaddrinfo(
                address.host, port, type=socket.SOCK_STREAM
            )[0]
            return socket.create_server(place[:2], family=family)
        except OSError as error:
            reason = error
            if isinstance(error, socket.gaierror):
                break
    ports = f"{wanted[0]}" if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}"
    raise InputError(
        f"cannot listen on {address.host}, port {ports}: {reason and reason.strerror}. Expected an "
        "address of this machine for --host, and a port that no other program uses for --port."
    )


def build_application(
    answerer: Answerer, examples: Examples, names: tuple[str, ...], *, is_local: bool
) -> Any:
    """Return the page as an ASGI application that refuses what the page does not send.

    Args:
        answerer: answers what is drawn.
        examples: id and uint8 ``[28, 28, 1]`` of test images to choose from.
        names: the hosts by which it is asked for, the given one first, in lower case.
        is_local: whether it listens on a loopback address. Then no other name is answered.

    """
    blocks = page.build(answerer, examples)
    import fastapi
    import gradio
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    application = gradio.mount_gradio_app(
        fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        blocks,
        path="/",
        server_name=names[0],
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=0,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gradio.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=page.style(),
    )
    guarded = Guard(application)
    if not is_local:
        return guarded
    # A page elsewhere must not reach this one through a name that leads to 127.0.0.1.
    return TrustedHostMiddleware(guarded, [LOOPBACK, "localhost", "[::1]", *names])


def is_loopback(ip: str) -> bool:
    """Return whether only this machine can reach an IP address."""
    address = ipaddress.ip_address(ip)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


class Guard:
    """Refuse large requests and the routes that the page does not use; add safe headers."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one request on, or answer it."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        if scope["path"].startswith(CLOSED):
            await _refuse(send, 404, b"The page does not use this address.")
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if scope["method"] in {"POST", "PUT", "PATCH"} and not _is_short(length, scope["headers"]):
            await _refuse(send, 413, b"The picture is too large.")
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        await self.application(scope, receive, send_with_headers)


def _is_short(length: bytes, headers: Any) -> bool:
    """Return whether a request says that its body is short. A browser always says it."""
    says = any(name == b"content-length" for name, _ in headers)
    return says and length.isdigit() and int(length) <= MAX_BODY


async def _refuse(send: Any, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
