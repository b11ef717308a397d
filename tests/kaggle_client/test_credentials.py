import base64
import json
import multiprocessing
import os
import subprocess
from urllib.parse import quote, quote_plus

import numpy as np
import pytest

from kaggle_digits import credentials, runs
from kaggle_digits.credentials import TOKEN, explain_missing, find, scrub
from kaggle_digits.errors import OutsideError
from kaggle_digits.exporting import comparing


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".kaggle").mkdir()
    return tmp_path


def save(home, name, content):
    (home / ".kaggle" / name).write_text(
        content if isinstance(content, str) else json.dumps(content)
    )


def source(home, **variables):
    found = find({"HOME": str(home)} | variables)
    return found and found.source


def test_none(home):
    assert source(home) is None
    assert source(home, KAGGLE_USERNAME="me") is None
    assert source(home, **{TOKEN: ""}) is None


def test_the_clients_order(home):
    save(home, "credentials.json", {"refresh_token": "r"})
    assert source(home) == "~/.kaggle/credentials.json"
    save(home, "kaggle.json", {"username": "me", "key": "k"})
    assert source(home) == "~/.kaggle/kaggle.json"
    assert source(home, KAGGLE_KEY="other") == "KAGGLE_KEY"
    save(home, "access_token", "t\n")
    assert source(home, KAGGLE_KEY="other") == "~/.kaggle/access_token"
    assert source(home, **{TOKEN: "x"}) == "KAGGLE_API_TOKEN"


@pytest.mark.parametrize("content", ["", "{", "[]", '"key"', "7", {"username": "me"}, "\x00"])
def test_a_broken_file_is_none(content, home):
    save(home, "kaggle.json", content)
    assert source(home) is None


def test_where_kaggle_json_may_lie(home, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "kaggle").mkdir()
    (other / "kaggle" / "kaggle.json").write_text('{"username": "me", "key": "k"}')
    named = str(other / "kaggle" / "kaggle.json")
    assert source(home, KAGGLE_CONFIG_DIR=str(other / "kaggle")) == named
    (home / ".kaggle").rmdir()
    assert source(home, XDG_CONFIG_HOME=str(other)) == named


def test_a_token_may_be_the_path_of_a_file(home):
    save(home, "mine", "the-token\n")
    environment = {"HOME": str(home), TOKEN: str(home / ".kaggle" / "mine")}
    assert scrub("it is the-token", environment) == "it is (secret)"
    save(home, "mine", "\n")
    assert find(environment) is None
    assert "KAGGLE_API_TOKEN names the file" in explain_missing(environment)
    assert "which is empty" in explain_missing(environment)


def test_spaces_around_a_variable_are_no_part_of_it(home):
    found = find({"HOME": str(home), TOKEN: " t\r\n"})
    assert found is not None
    assert found.secret == "t"  # noqa: S105 — a stand-in
    assert source(home, **{TOKEN: " \n"}) is None


def test_nothing_there_is_no_problem(home):
    assert explain_missing({"HOME": str(home)}).startswith("no credentials for Kaggle. ")


def test_scrub(home):
    save(home, "kaggle.json", {"username": "me", "key": "k-1"})
    environment = {"HOME": str(home), TOKEN: "t-1"}
    text = "t-1 and\nk-1 at https://storage.googleapis.com/x?X-Goog-Signature=ab, later"
    assert scrub(text, environment) == "(secret) and (secret) at (address) later"
    assert len(scrub("x" * 1000, environment)) == 300


def test_what_drives_a_terminal_is_escaped(home):
    text = scrub("\x1b[31mred\x07 \u202eever\x9b2J\udcff é ≠", {"HOME": str(home)})
    assert text == "\\x1b[31mred\\x07 \\u202eever\\x9b2J\\udcff é ≠"


@pytest.mark.parametrize("key", ["k-1", "a+b/c=d&e f?é", "5f1c0c6a5f1c0c6a5f1c0c6a5f1c0c6a"])
@pytest.mark.parametrize("plain", ["{key}", "me:{key}", "t+/1"])
def test_encoded_secrets_are_scrubbed(plain, key, home):
    save(home, "kaggle.json", {"username": "me", "key": key})
    environment = {"HOME": str(home), TOKEN: "t+/1"}
    secret = plain.format(key=key)
    encoded = base64.b64encode(secret.encode()).decode()
    forms = [secret, quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower()]
    forms += [encoded, encoded.rstrip("="), quote(encoded, safe="")]
    forms += [base64.urlsafe_b64encode(secret.encode()).decode()]
    for form in forms:
        shown = scrub(f"<{form}>", environment)
        assert shown == "<(secret)>", form


@pytest.mark.parametrize("scheme", ["Basic", "Bearer", "bearer"])
def test_a_header_is_scrubbed_whoever_it_belongs_to(scheme, home):
    text = f"sent Authorization: {scheme} YW5vdGhlcjpwYXNzd29yZA== to"
    shown = scrub(text, {"HOME": str(home)})
    assert shown == f"sent Authorization: {scheme} (secret) to"
    assert scrub(f"{scheme} YW5vdGhlcjpwYXNzd29yZA", {"HOME": str(home)}) == f"{scheme} (secret)"
    text = f"{scheme} authentication required"
    assert scrub(text, {"HOME": str(home)}) == text


def environment_of_child(pipe):
    pipe.send(dict(os.environ))


def test_processes_that_need_no_credentials_get_none(monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", "k-1")
    monkeypatch.setenv("OTHER", "x")
    bare = credentials.environment_without_credentials()
    assert bare["OTHER"] == "x"
    assert not [name for name in bare if name.startswith("KAGGLE")]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=environment_of_child, args=(theirs,))
    with credentials.withheld():
        process.start()
    inherited = ours.recv()
    process.join()
    assert inherited["OTHER"] == "x"
    assert "KAGGLE_KEY" not in inherited
    assert os.environ["KAGGLE_KEY"] == "k-1"


def test_no_command_that_is_run_gets_credentials(monkeypatch, tmp_path):
    seen = []

    def note(*_, env=None, **__):
        seen.append(env)
        return subprocess.CompletedProcess([], 1, "", "it failed")

    monkeypatch.setenv("KAGGLE_API_TOKEN", "t-1")
    monkeypatch.setattr(subprocess, "run", note)
    runs.environment()  # asks git
    with pytest.raises(OutsideError, match="it failed"):
        comparing._fresh_answers(tmp_path, np.zeros((1, 28, 28, 1), np.uint8), None)
    assert len(seen) >= 1
    assert not any("t-1" in environment.values() for environment in seen)
