"""Credentials and proxies that do not work, each named: with the real client."""

import base64
import codecs
import json

import pytest

from tests import kaggle_server, product
from tests.kaggle_server import HANG, INACTIVE, KEY, TOKEN, USER
from tests.submitting import ledger, submit

STALE = "KGAT_stale"
SHORT = 1.5  # seconds; long enough for a busy machine, short enough for a test
ALONE = {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}


@pytest.fixture
def home(tmp_path_factory):
    """Return a home folder with an empty .kaggle."""
    home = tmp_path_factory.mktemp("home")
    (home / ".kaggle").mkdir()
    return home


@pytest.mark.parametrize("hangs", [False, True])
def test_a_stale_token(hangs, folder, data, server):
    """The client would ask about it while it is imported, without a deadline."""
    if hangs:
        server.faults["IntrospectToken"] = HANG
    text = submit(
        folder, data, server, code=1,
        KAGGLE_API_TOKEN=STALE, KAGGLE_DIGITS_TIMEOUT=str(SHORT if hangs else 20),
    )  # fmt: skip
    expected = (
        "did not answer" if hangs else "KAGGLE_API_TOKEN, which takes precedence over kaggle.json"
    )
    assert expected in text
    assert STALE not in text
    assert server.calls == ["IntrospectToken"]


def test_a_token_works(folder, data, server):
    assert "reference 1001" in submit(folder, data, server, KAGGLE_API_TOKEN=kaggle_server.TOKEN)
    assert server.calls.count("IntrospectToken") == 1


def test_a_token_in_a_file_works(folder, data, server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / ".kaggle").mkdir()
    (home / ".kaggle" / "access_token").write_text(kaggle_server.TOKEN + "\n")
    mine = {"HOME": str(home), "KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    assert "reference 1001" in submit(folder, data, server, **mine)


@pytest.mark.parametrize("answer", [400, 401, 403, 404, INACTIVE], ids=str)
def test_a_revoked_token_alone(answer, folder, data, server):
    told = (answer, "Unauthenticated") if isinstance(answer, int) else answer
    server.faults["IntrospectToken"] = told
    text = submit(folder, data, server, code=1, KAGGLE_API_TOKEN=STALE, **ALONE)
    assert "does not accept your credentials" in text or "Kaggle rejected the token." in text
    assert "The token came from KAGGLE_API_TOKEN, which takes" in text
    assert "It may be revoked, expired or incomplete" in text
    assert "Create a token at https://www.kaggle.com/settings" in text
    assert STALE not in text
    assert set(server.calls) == {"IntrospectToken"}


@pytest.mark.parametrize("end", ["\n", "\r\n", " "], ids=repr)
def test_a_token_that_ends_in_a_line_break(end, folder, data, server):
    text = submit(folder, data, server, KAGGLE_API_TOKEN=f" {TOKEN}{end}", **ALONE)
    assert "reference 1001" in text


@pytest.mark.parametrize(
    ("token", "oddity"),
    [
        (f"{TOKEN[:5]}\n{TOKEN[5:]}", "a space or a line break"),
        (f"Bearer {TOKEN}", "a space or a line break"),
        (f'"{TOKEN}"', "It contains quotes"),
        (f"“{TOKEN}”", "It contains quotes"),
        (f"{TOKEN}é", "characters that no token has"),
        (f"{TOKEN}ж", "characters that no token has"),
    ],
)
def test_what_no_token_has_is_named(token, oddity, folder, data, server):
    text = submit(folder, data, server, code=1, KAGGLE_API_TOKEN=token, **ALONE)
    assert oddity in text
    assert "The token came from KAGGLE_API_TOKEN" in text
    assert not ledger(folder)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("kaggle.json", codecs.BOM_UTF8 + b'{"username":"u","key":"k"}\n', "a byte-order mark"),
        ("kaggle.json", b"{'username':'u','key':'k'}", "has single quotes"),
        ("kaggle.json", "{“username”:“u”,“key”:“k”}".encode(), "has typographic quotes, “ ”"),
        ("kaggle.json", b'{"username":"u"}', 'kaggle.json has no "key"'),
        ("kaggle.json", b'{"username":"u","key":""}', 'kaggle.json has no "key"'),
        ("kaggle.json", b'{"user":"u","token":"k"}', 'has no "username" and no "key"'),
        ("kaggle.json", b"", "kaggle.json is empty"),
        ("kaggle.json", b'["u", "k"]', "holds no {"),
        ("kaggle.json", b'{"username":"u","key":"k",}', "is not JSON ("),
        ("kaggle.json", b'{"username":"u"\n"key":"k"}', "',' delimiter, line 2, column 1)"),
        ("kaggle.json", '{"username":"u"}'.encode("utf-16"), "is UTF-16 text"),
        ("kaggle.json", '{"username":"u"}'.encode("utf-16-le"), "is UTF-16 text"),
        ("kaggle.json", b'{"username":"\xff"}', "is not UTF-8 text"),
        ("kaggle (1).json", b'{"username":"u","key":"k"}', "has to be called kaggle.json"),
        ("kaggle.json.txt", b'{"username":"u","key":"k"}', "has to be called kaggle.json"),
        ("access_token", b" \n", "~/.kaggle/access_token is empty"),
        ("access_token", "KGAT".encode("utf-16"), "~/.kaggle/access_token is not UTF-8 text"),
        ("credentials.json", b"{", "~/.kaggle/credentials.json is not JSON"),
    ],
)  # fmt: skip
def test_a_file_that_the_client_ignores_is_named(name, content, expected, home, tmp_path):
    (home / ".kaggle" / name).write_bytes(content)
    for command in (["leaderboard", "--refresh"], ["data", "get", "--source", "kaggle"]):
        done = product.call(*command, cwd=tmp_path, code=2, HOME=str(home))
        assert expected in done.stderr
        assert "~/.kaggle/" in done.stderr
        assert "that Kaggle's client can use" in done.stderr
        assert '"k"' not in done.stderr


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"KAGGLE_CONFIG_DIR": "/no/such"}, "'/no/such', which does not exist"),
        ({"KAGGLE_CONFIG_DIR": "~/.kaggle"}, "'~/.kaggle', a folder without kaggle.json"),
        ({"KAGGLE_CONFIG_DIR": "~/.kaggle/file"}, "which is a file"),
        ({"KAGGLE_USERNAME": "u"}, "KAGGLE_USERNAME is set, but KAGGLE_KEY is not"),
        ({"KAGGLE_KEY": "k-1"}, "KAGGLE_KEY is set, but KAGGLE_USERNAME is not"),
    ],
    ids=str,
)
def test_a_variable_that_leads_nowhere_is_named(variables, expected, home, tmp_path):
    (home / ".kaggle" / "file").touch()
    done = product.call(
        "leaderboard", "--refresh", cwd=tmp_path, code=2, HOME=str(home), **variables
    )
    assert expected in done.stderr
    assert not list(tmp_path.glob("~*"))


def test_a_folder_with_a_tilde_works(folder, data, server, home):
    (home / "mine").mkdir()
    (home / "mine" / "kaggle.json").write_text(json.dumps({"username": USER, "key": KEY}))
    mine = {"HOME": str(home), "KAGGLE_CONFIG_DIR": "~/mine", **ALONE}
    server.environment().pop("KAGGLE_USERNAME")
    done = product.call(
        "submit", "a.csv", "--input", data, cwd=folder,
        **{k: v for k, v in (server.environment() | mine).items() if v},
    )  # fmt: skip
    assert "reference 1001" in done.stdout
    assert not list(folder.glob("~*"))


@pytest.mark.parametrize(
    "address",
    ["http://[::1", "proxy.example.org:port", "http://", "foo://127.0.0.1:9", "127.0.0.1:99999",
     "socks5://127.0.0.1:9", "http://u:p-1#2@127.0.0.1:9", "http://127.0.0.1:9\n.", "“x”"],
)  # fmt: skip
def test_an_address_of_a_proxy_that_cannot_be_used(address, folder, data, server):
    text = submit(folder, data, server, code=1, HTTP_PROXY=address, http_proxy=address)
    assert "invalid proxy address in HTTP_PROXY, http_proxy" in text
    assert "Expected a form such as http://proxy" in text
    assert "p-1" not in text
    assert server.calls == []
    assert not ledger(folder)


def test_a_proxy_that_wants_a_password(folder, data, server):
    server.faults["GetSubmissionLimits"] = 407
    text = submit(folder, data, server, code=1)
    assert "HTTP_PROXY" in text
    assert "requires a user name and password (407)" in text
    assert not ledger(folder)


def test_a_proxy_that_wants_a_password_for_a_tunnel(folder, data, server):
    """What a proxy answers for https, as the real Kaggle is reached: the tunnel is never made."""
    proxy = server.environment()["HTTP_PROXY"]
    text = submit(
        folder, data, server, code=1,
        KAGGLE_API_ENVIRONMENT="PROD", HTTPS_PROXY=proxy, https_proxy=proxy,
    )  # fmt: skip
    assert "requires a user name and password (407)" in text
    assert set(server.calls) == {"CONNECT"}  # once seen twice: its own library may try again


def test_an_error_that_quotes_the_header_shows_no_key(folder, data, server):
    basic = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
    server.faults["ListSubmissions"] = (
        500,
        f"bad header Authorization: Basic {basic}, X-Key: {KEY}",
    )
    text = submit(folder, data, server, code=1)
    assert "bad header Authorization: Basic (secret), X-Key: (secret)" in text
    assert basic not in text
