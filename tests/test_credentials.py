import json

import pytest

from kaggle_digits.credentials import TOKEN, find, scrubbed


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
    assert source(home) == "kaggle.json"
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
    assert source(home, KAGGLE_CONFIG_DIR=str(other / "kaggle")) == "kaggle.json"
    (home / ".kaggle").rmdir()
    assert source(home, XDG_CONFIG_HOME=str(other)) == "kaggle.json"


def test_a_token_may_be_the_path_of_a_file(home):
    save(home, "mine", "the-token\n")
    environment = {"HOME": str(home), "KAGGLE_API_TOKEN": str(home / ".kaggle" / "mine")}
    assert scrubbed("it is the-token", environment) == "it is (secret)"


def test_scrubbed(home):
    save(home, "kaggle.json", {"username": "me", "key": "k-1"})
    environment = {"HOME": str(home), "KAGGLE_API_TOKEN": "t-1"}
    text = "t-1 and\nk-1 at https://storage.googleapis.com/x?X-Goog-Signature=ab, later"
    assert scrubbed(text, environment) == "(secret) and (secret) at (address) later"
    assert len(scrubbed("x" * 1000, environment)) == 300
