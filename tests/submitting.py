"""`submit` as a user runs it, with the real client, against the server on the loopback."""

import json
import re

from tests import product
from tests.helpers import ROWS
from tests.kaggle_server import SECRETS


def submission_text(shift: int = 0) -> str:
    """Return a submission of 28,000 rows; with a ``shift`` each row answers another image."""
    return "ImageId,Label\n" + "".join(f"{i},{(i + shift) % 10}\n" for i in range(1, ROWS + 1))


def submit(folder, data, server, *options, code=0, **environment):
    """Run ``submit a.csv`` against ``server``; return its output on one line, checked for leaks."""
    extra = server.environment() | environment
    done = product.call(
        "submit", "a.csv", "--input", data, *options, cwd=folder, code=code, **extra
    )
    require_no_secret(folder, done.stdout + done.stderr)
    assert not re.search(r"Traceback|\wWarning", done.stderr)  # Python's; ours stands alone
    assert code == 0 or re.search("^Error: ", done.stderr, re.MULTILINE)
    return " ".join((done.stdout + done.stderr).split())


def require_no_secret(folder, *texts):
    left = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    for secret in SECRETS:
        assert not any(secret in text for text in texts)
        assert not any(secret.encode() in content for content in left)


def ledger(folder):
    path = folder / "submissions" / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
