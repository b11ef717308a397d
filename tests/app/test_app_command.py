"""The command `app`: what it opens, where it listens, what it refuses."""

import importlib.util
import socket
from unittest import mock

import numpy as np
import pytest

from kaggle_digits import exporting
from kaggle_digits.app import Address, readers, require_gradio, server
from kaggle_digits.app.server import MAX_BODY, Guard, is_loopback, listen
from kaggle_digits.errors import InputError
from tests import product


def test_missing_gradio_names_the_command(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gradio" else found(name)
    )
    with pytest.raises(InputError, match=r"pip install 'kaggle-digits\[app\]'"):
        require_gradio()


def test_a_missing_model_is_said(tmp_path):
    pytest.importorskip("gradio", reason="Gradio is not installed")
    done = product.call("app", "nosuch", cwd=tmp_path, code=2)
    assert "nosuch: no such file or folder. Expected the folder of a finished run" in done.stderr


def test_models_of_other_images_are_refused(monkeypatch, tmp_path):
    class Model:
        image_shape = (32, 32, 3)

    monkeypatch.setattr(exporting, "open_model", lambda *_, **__: Model())
    with pytest.raises(InputError, match=r"takes images of \(32, 32, 3\). The page makes"):
        readers.open_exported_model(tmp_path / "cifar.onnx")


def test_a_port_in_use_is_said():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"cannot listen on 127\.0\.0\.1, port {port}"):
            listen(Address(port=port))
    with pytest.raises(InputError, match=r"cannot listen on no\.such\.host\.invalid"):
        listen(Address("no.such.host.invalid"))


def test_without_a_port_the_next_free_one_is_taken():
    with listen(Address()) as first, listen(Address()) as second:
        assert first.getsockname()[0] == second.getsockname()[0] == "127.0.0.1"
        assert 7860 <= first.getsockname()[1] < second.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", False),  # noqa: S104 — nothing listens there
     ("::", False), ("192.168.0.7", False)],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("host", ["LOCALHOST", "localhost.", "ip6-localhost"])
def test_every_name_of_this_machine_is_guarded(host, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn", reason="Gradio, which needs it, is not installed")
    monkeypatch.setattr(server, "require_gradio", lambda: None)
    place = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [place])
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    with mock.patch.object(server, "build_application") as build:
        server.serve(mock.Mock(), [], Address(host, 0), print)
    assert build.call_args.kwargs == {"is_local": True}
    assert build.call_args.args[2] == (host.lower(), "127.0.0.1"), "the URL that is printed"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", [], 200),
        ("POST", "/gradio_api/component_server", [(b"content-length", b"100")], 200),
        ("POST", "/gradio_api/component_server", [], 413),
        ("POST", "/x", [(b"content-length", str(MAX_BODY + 1).encode())], 413),
        ("POST", "/gradio_api/upload", [(b"content-length", b"100")], 404),
        ("GET", "/gradio_api/file=/etc/passwd", [], 404),
    ],
)
def test_the_guard_refuses_what_the_page_does_not_send(method, path, headers, status):
    anyio = pytest.importorskip("anyio", reason="Gradio, which needs it, is not installed")

    async def application(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sent = []

    async def send(message):
        sent.append(message)

    async def ask():
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        await Guard(application)(scope, None, send)

    anyio.run(ask)
    assert sent[0]["status"] == status
    names = dict(sent[0]["headers"])
    assert b"default-src 'self'" in names[b"content-security-policy"]


def test_the_answers_of_an_ensemble_are_those_of_its_file(monkeypatch, tmp_path):
    class Model:
        image_shape, classes = (28, 28, 1), 10

        @staticmethod
        def members(images):
            return np.full((3, len(images), 10), 0.1)

    monkeypatch.setattr(exporting, "open_model", lambda *_, **__: Model())
    reader = readers.open_exported_model(tmp_path / "blend.onnx")
    assert reader.is_ensemble
    assert reader.answer(np.zeros((2, 28, 28, 1), np.uint8)).shape == (3, 2, 10)
