"""Reading what Kaggle reads, refusing what it refuses."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits import submissions
from kaggle_digits.errors import InputError, OutsideError
from tests.helpers import ROWS, large, submission


def file_with(folder: Path, content: str | bytes) -> Path:
    path = folder / "s.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------------------------------- write


def test_write_gives_exactly_the_competitions_format(tmp_path: Path) -> None:
    path = tmp_path / "new" / "s.csv"
    submissions.write(path, ids=[3, 1, 2], labels=np.array([7.0, 0.0, 9.0], np.float32))
    assert path.read_bytes() == b"ImageId,Label\n3,7\n1,0\n2,9\n"


@pytest.mark.parametrize("seed", range(5))
def test_read_returns_what_write_wrote(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    ids = random.choice(np.arange(1, 10**9, 99_991), size=random.integers(1, 300), replace=False)
    labels = random.integers(0, 10, len(ids))
    submissions.write(tmp_path / "s.csv", ids, labels)
    found = submissions.read(tmp_path / "s.csv")
    assert found.ids.tolist() == ids.tolist()
    assert found.labels.tolist() == labels.tolist()
    assert found.ids.dtype == np.int64
    assert found.labels.dtype == np.uint8


@pytest.mark.parametrize(
    ("ids", "labels", "message"),
    [
        ([1, 2], [3, 10], r"received Label 10 at position 1. Expected .* from 0 to 9"),
        ([1, 2], [-1, 3], r"received Label -1 at position 0"),
        ([1, 2], [3, 7.5], r"received Label 7.5 at position 1. Expected Label to be whole"),
        ([1, 2], [3, np.nan], r"received Label nan at position 1"),
        ([1, 2], [3, np.inf], r"received Label inf at position 1"),
        ([1, 2], ["3", "4"], r"received Label with shape \(2,\) and type <U1"),
        ([1, 2], [True, False], r"received Label with shape \(2,\) and type bool"),
        ([1, 2], [[0, 1], [1, 0]], r"received Label with shape \(2, 2\).* in one dimension"),
        ([0, 1], [3, 3], r"received ImageId 0 at position 0"),
        ([1.5, 2], [3, 3], r"received ImageId 1.5 at position 0"),
        ([10**18], [3], r"received ImageId 1000000000000000000 at position 0"),
        ([1, 2], [3], r"received 2 ids and 1 labels. Expected one label for each id"),
        ([2, 1, 2], [3, 3, 3], r"received ImageId 2 more than once. Expected each ImageId once"),
        ([], [], r"received no ids"),
    ],
)
def test_write_refuses_and_writes_nothing(
    tmp_path: Path, ids: Any, labels: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        submissions.write(tmp_path / "s.csv", ids, labels)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_with(tmp_path, "old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutsideError, match="no space to write"):
        submissions.write(path, [1], [2])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("ImageId,Label\n1,3\n", "its rows differ"), ("ImageId,Lab", "received the header")],
)
def test_a_file_that_does_not_hold_what_was_written_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, reason: str
) -> None:
    monkeypatch.setattr("kaggle_digits.files.write_text", lambda path, _: path.write_text(content))
    with pytest.raises(OutsideError, match=f"does not hold what was just written.*{reason}"):
        submissions.write(tmp_path / "s.csv", [1], [2])


# ----------------------------------------------------------------------------------------- read


@pytest.mark.parametrize(
    "content",
    [
        "ImageId,Label\n2,7\n1,0\n",
        "ImageId,Label\n2,7\n1,0",
        "ImageId,Label\r\n2,7\r\n1,0\r\n",
        "\ufeffImageId,Label\n2,7\n1,0\n",
        '"ImageId","Label"\n"2","7"\n"1","0"\n',
        '\ufeff"ImageId","Label"\r\n2,"7"\r\n1,0\r\n',
        "ImageId,Label\n2,7.0\n1,0.00\n",
        "ImageId,Label\n2,7\n\n1,0\n\n\n",
        "ImageId,Label\n002,7\n1,0\n",
    ],
)
def test_read_accepts_what_kaggle_accepts(tmp_path: Path, content: str) -> None:
    found = submissions.read(file_with(tmp_path, content))
    assert found.ids.tolist() == [2, 1]
    assert found.labels.tolist() == [7, 0]
    assert found.ids.dtype == np.int64
    assert found.labels.dtype == np.uint8


GOOD = "ImageId,Label\n1,7\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"s.csv is empty. Expected the header ImageId,Label"),
        ("\ufeff\n\n", r"s.csv is empty"),
        ("id,label\n1,7\n", r"line 1: received the header 'id,label'. .* exactly 'ImageId,Label'"),
        ("imageid,label\n1,7\n", r"line 1: received the header 'imageid,label'"),
        ("ImageId, Label\n1,7\n", r"line 1: received the header 'ImageId, Label'"),
        ("Label,ImageId\n7,1\n", r"header 'Label,ImageId'.* write the ids first in every line"),
        ("ImageId;Label\n1;7\n", r"line 1: received the header 'ImageId;Label'"),
        (",ImageId,Label\n0,1,7\n", r"header ',ImageId,Label'.* to_csv\(…, index=False\)"),
        ("1,7\n2,3\n", r"line 1: received the header '1,7'"),
        ("# mine\n" + GOOD, r"line 1: received the header '# mine'"),
        (
            ",".join(["pixel"] * 784),
            r"line 1: received the header 'pixel,pixel,.{0,40}…'.* choose a file with",
        ),
        ("ImageId,Label,P\n1,7,0.9\n", r"line 1: received the header 'ImageId,Label,P'"),
        (GOOD + "2,7,0.9\n", r"line 3: received 3 cells, '2,7,0.9'. Expected 2"),
        (GOOD + "2,7,\n", r"line 3: received 3 cells, '2,7,'"),
        (GOOD + "2\n", r"line 3: received 1 cell, '2'. Expected 2"),
        (GOOD + "  \n", r"line 3: received 1 cell, '  '"),
        (GOOD + "2,\n", r"line 3: received Label '' for ImageId 2. Expected a digit from 0 to 9"),
        (GOOD + "2,10\n", r"line 3: received Label '10' for ImageId 2"),
        (GOOD + "2,-1\n", r"line 3: received Label '-1'"),
        (GOOD + "2,7.5\n", r"line 3: received Label '7.5'"),
        (GOOD + "2,abc\n", r"line 3: received Label 'abc'"),
        (GOOD + "2, 7\n", r"line 3: received Label ' 7'"),
        (GOOD + "2,nan\n", r"line 3: received Label 'nan'"),
        (GOOD + "2,٣\n", r"line 3: received Label '٣'"),
        (GOOD + '2,"7\n"\n', r"received Label '7\\n'"),
        (GOOD + "0,7\n", r"line 3: received ImageId '0'. Expected a whole number, 1 or more"),
        (GOOD + "-2,7\n", r"line 3: received ImageId '-2'"),
        (GOOD + "2.0,7\n", r"line 3: received ImageId '2.0'"),
        (GOOD + "x,7\n", r"line 3: received ImageId 'x'"),
        (GOOD + ",7\n", r"line 3: received ImageId ''"),
        (GOOD + "9" * 30 + ",7\n", r"line 3: received ImageId '9{30}'"),
        (GOOD + "2,3\n1,7\n", r"line 4: received ImageId 1 again, first on line 2"),
        (GOOD + "\n1,7\n", r"line 4: received ImageId 1 again, first on line 2"),
        (GOOD + "# a, b\n", r"line 3: received the comment '# a, b'. .*remove the line"),
        ("ImageId,Label\n", r"line 1: received the header and no rows"),
        ("ImageId,Label", r"line 1: received the header and no rows"),
        (GOOD + '2,"7\n3,1\n', r"line 3: received a row that is not CSV .*check the quotes"),
        (GOOD + '2,"7"1\n', r"line 3: received a row that is not CSV"),
        (GOOD.encode("utf-16"), r"line 1: received bytes that are not UTF-8 text. .* UTF-8"),
        (GOOD.encode("utf-16-le"), r"line 1: received bytes that are not UTF-8 text"),
        (GOOD.encode() + b"2,\xff\n", r"line 3: received bytes that are not UTF-8 text"),
        (GOOD.encode() + b"\0" * 9, r"line 3: received bytes that are not UTF-8 text"),
        (b"PK\x03\x04\x14\0\xff", r"line 1: received a zip archive. .*unpack it"),
    ],
)
def test_read_names_the_line_and_what_came(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = file_with(tmp_path, content)
    with pytest.raises(InputError, match=message) as caught:
        submissions.read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 250


def test_read_says_what_to_do_about_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no.csv does not exist. .*make one with"):
        submissions.read(tmp_path / "no.csv")


def test_a_pipe_is_no_target(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe.csv is not a regular file"):
        submissions.require_target(tmp_path / "pipe.csv")


def test_read_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder\. Expected a CSV\."):
        submissions.read(tmp_path)


@pytest.mark.parametrize("damage", range(20))
def test_one_damaged_character_is_refused_or_read_alike_by_both_paths(
    tmp_path: Path, damage: int
) -> None:
    random = np.random.default_rng(damage)
    content = bytearray(b"ImageId,Label\n" + b"".join(b"%d,%d\n" % (i, i % 10) for i in range(99)))
    content[random.integers(len(content))] = random.integers(32, 127)
    plain = submissions.parse_plain(bytes(content))
    if plain is None:
        return
    parsed = submissions.parse_lines(tmp_path / "s.csv", content.decode())
    assert plain.ids.tolist() == parsed.ids.tolist()
    assert plain.labels.tolist() == parsed.labels.tolist()


def test_a_whole_submission_is_read_at_once(tmp_path: Path) -> None:
    meant = large()
    submissions.write(tmp_path / "s.csv", meant.ids, meant.labels)
    start = time.perf_counter()
    for _ in range(10):
        found = submissions.read(tmp_path / "s.csv")
    assert time.perf_counter() - start < 5  # 10 times 50 ms, and room for a busy machine
    assert np.array_equal(found.labels, meant.labels)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, kaggle_digits.submissions, kaggle_digits.evaluation.ensembling;"
        "print({'keras', 'tensorflow', 'pandas', 'sklearn'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# ---------------------------------------------------------------------------------------- check


def test_check_accepts_the_same_ids_in_any_order() -> None:
    submissions.check(submission({3: 1, 1: 1, 2: 1}), np.array([1, 2, 3]))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2, 4], r"mine.csv: 3 rows; expected 4 \(test.csv\). Missing ImageId 3. Create"),
        ([1, 2, 3, 9], r"4 rows; expected 4 .* Missing ImageId 4. Unexpected ImageId 9."),
        ([1, 2, 3, 4, 5, 6], r"6 rows; expected 4 \(test.csv\). Unexpected ImageId 5, 6. Create"),
    ],
)
def test_check_names_missing_and_unexpected_ids(ids: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        submissions.check(submission(dict.fromkeys(ids, 0)), np.arange(1, 5), name="mine.csv")


def test_check_names_only_the_first_of_many() -> None:
    message = (
        r"the submission: 1 rows; expected 28,000 \(here\). "
        r"Missing ImageId 2, 3, 4, 5, 6, … \(27,999 ids\). Create the file again"
    )
    with pytest.raises(InputError, match=message):
        submissions.check(submission({1: 0}), np.arange(1, ROWS + 1), source="here")
