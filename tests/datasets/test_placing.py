"""What a killed or second `data get` leaves is recognised, and healed by the next one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits import files
from kaggle_digits.datasets import get, get_rehearsal, kaggle_csv, load, markers, placing
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError
from tests import product
from tests.helpers import write_competition, write_competition_zip

OLD, NEW = 1, 2  # seeds
MOMENTS = 25  # more than `data get` has
# Gets data into input1, input2, … In the N-th it dies before the N-th time that it renames or
# removes a file. Prints how each of them ended, up to the first that reached the end.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from kaggle_digits.datasets import get, kaggle_csv

def dying(do, left):
    def wrapped(path, *arguments, **options):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(path, *arguments, **options)
    return wrapped

def die_at(number):
    left = [number]
    for name in ("replace", "rename", "unlink"):
        setattr(Path, name, dying(getattr(Path, name), left))

source, path = sys.argv[1], Path(sys.argv[2])
if source == "download":
    kaggle_csv.COMPETITION_TEST_ROWS = 20
if source in ("sample", "auto"):
    import sklearn.datasets  # once, and not in each child
for number in range(1, int(sys.argv[3]) + 1):
    child = os.fork()
    if not child:
        die_at(number)
        folder = Path(f"input{number}")
        if source == "from":
            get("auto", folder=folder, from_path=path, environment={})
        elif source == "variable":
            get("auto", folder=folder, environment={"KAGGLE_DIGITS_DATA": str(path)})
        elif source == "download":
            download = lambda to: Path(shutil.copy(path, to))
            get("auto", folder=folder, environment={}, download=download)
        else:
            get(source, folder=folder, environment={})
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status)
    if not status:
        break
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "input"


def get_from(path: Path, folder: Path) -> Splits:
    return get("auto", folder=folder, from_path=path, environment={}).splits


def killed(source: str, path: Path, cwd: Path) -> list[Path]:
    """Get data into folders, and kill the process once at each moment; return the folders."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, source, str(path), str(MOMENTS)],
        cwd=cwd,
        env=product.environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    *killed_, last = map(int, done.stdout.split())
    assert set(killed_) == {-signal.SIGKILL}
    assert last == 0
    return [cwd / f"input{number}" for number in range(1, len(killed_) + 2)]


def loaded(folder: Path) -> Splits | str:
    """Return what is in a folder, or why it is not read."""
    try:
        return load(folder)
    except InputError as error:
        return str(error)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith((".kaggle", ".source"))]


@pytest.mark.parametrize("kind", ["ours", "theirs", "to-zip", "from-zip"])
def test_a_kill_at_any_moment_leaves_the_old_data_the_new_or_words(kind, tmp_path):
    """With equal numbers of test images, a mixture would look like own data."""
    old = write_competition(tmp_path / "old", seed=OLD)
    new = write_competition(tmp_path / "new", seed=NEW)
    if kind == "to-zip":
        new = write_competition_zip(tmp_path / "new.zip", seed=NEW)
    if kind == "from-zip":
        old = write_competition_zip(tmp_path / "old.zip", seed=OLD)
    whole = [get_from(old, tmp_path / "before"), get_from(new, tmp_path / "after")]
    expected = {(splits.train.fingerprint, splits.test.fingerprint) for splits in whole}
    for number in range(1, MOMENTS + 1):
        shutil.copytree(
            old if kind == "theirs" else tmp_path / "before", tmp_path / f"input{number}"
        )

    outcomes = []
    for folder in killed("from", new, tmp_path):
        outcomes.append(found := loaded(folder))
        if isinstance(found, str):
            assert f"{folder} is incomplete: `data get` was interrupted" in found
            assert f"kaggle-digits data get --from PATH --input {folder}" in found
        else:
            assert (found.train.fingerprint, found.test.fingerprint) in expected
            assert found.notes == ()
        healed = get_from(new, folder)
        assert load(folder).train.fingerprint == healed.train.fingerprint
        assert json.loads((folder / markers.NAME).read_text())["complete"] is True
        assert not leftovers(folder)
    assert sum(isinstance(found, str) for found in outcomes) >= 2
    assert not isinstance(outcomes[0], str)
    assert not isinstance(outcomes[-1], str)


def test_a_folder_whose_get_was_killed_is_no_source(tmp_path):
    old = write_competition(tmp_path / "old", seed=OLD)
    new = write_competition(tmp_path / "new", seed=NEW)
    get_from(old, tmp_path / "before")
    for number in range(1, MOMENTS + 1):
        shutil.copytree(tmp_path / "before", tmp_path / f"input{number}")
    mixed = [folder for folder in killed("from", new, tmp_path) if isinstance(loaded(folder), str)]
    assert mixed
    for folder in mixed:
        named = f"{folder} is incomplete.*run it again: .*data get --from PATH --input {folder}"
        other = tmp_path / "other"
        for source in (folder, folder / "train.csv"):
            with pytest.raises(InputError, match=named):
                get_from(source, other)
            with pytest.raises(InputError, match=named):
                get("auto", folder=other, environment={"KAGGLE_DIGITS_DATA": str(source)})
            with pytest.raises(InputError, match=named):
                get_rehearsal("auto", folder=other, from_path=source, seed=0)
        assert not (other / "train.csv").exists()


def test_a_whole_file_in_a_folder_whose_get_was_killed_is_a_source(folder, tmp_path):
    path = write_competition_zip(tmp_path / "there" / "digit-recognizer.zip")
    markers.write(path.parent, markers.Marker("csv", {"train.csv": "0"}, complete=False))
    assert get_from(path, folder).source == "csv"


@pytest.mark.parametrize("source", ["sample", "auto"])
def test_an_interrupted_sample_is_made_again(source, tmp_path):
    for folder in killed(source, tmp_path, tmp_path):
        get(source, folder=folder, environment={})
        assert load(folder).source == "sample"
        assert not leftovers(folder)


@pytest.mark.parametrize("source", ["variable", "download"])
def test_an_interrupted_get_without_options_is_finished_by_the_next(source, tmp_path, monkeypatch):
    arguments: dict[str, Any]
    if source == "variable":
        path = write_competition(tmp_path / "there")
        arguments = {"environment": {"KAGGLE_DIGITS_DATA": str(path)}}
        option = "--from PATH"
    else:
        monkeypatch.setattr(kaggle_csv, "COMPETITION_TEST_ROWS", 20)
        path = write_competition_zip(tmp_path / "there.zip")
        arguments = {"environment": {}, "download": lambda to: Path(shutil.copy(path, to))}
        option = "--source kaggle"
    stopped = []
    for folder in killed(source, path, tmp_path):
        stopped.append(not markers.read(folder).complete)
        if stopped[-1] and isinstance(loaded(folder), str):
            with pytest.raises(InputError, match=f"is incomplete.*run it again: .*{option}"):
                get("auto", folder=folder, environment={})
        assert get("auto", folder=folder, **arguments).splits.source != "sample"
        assert len(load(folder).test) == 20
        assert not leftovers(folder)
    assert any(stopped)


def test_an_interrupted_get_is_not_finished_with_other_data(folder, tmp_path):
    other = write_competition(tmp_path / "other")
    folder.mkdir()
    markers.write(folder, markers.Marker("csv", {"train.csv": "0"}, complete=False))
    with pytest.raises(InputError, match=r"is incomplete.*run it again: .*--from PATH"):
        get(
            "auto",
            folder=folder,
            environment={"KAGGLE_DIGITS_DATA": str(other)},
            download=lambda _: pytest.fail("downloaded"),
        )


def test_an_interrupted_sample_is_no_reason_to_replace_other_files(folder):
    get("sample", folder=folder)
    note = json.loads((folder / markers.NAME).read_text())
    (folder / markers.NAME).write_text(json.dumps(note | {"complete": False}))
    write_competition(folder)
    before = (folder / "train.csv").read_bytes()
    with pytest.raises(InputError, match=r"holds train\.csv, test\.csv, which the sample would"):
        get("sample", folder=folder)
    assert (folder / "train.csv").read_bytes() == before
    with pytest.raises(InputError, match=r"To use the present files, remove .*source\.json"):
        get("auto", folder=folder, environment={})
    with pytest.raises(InputError, match=r"run it again: kaggle-digits data get --source sample"):
        load(folder)
    (folder / markers.NAME).unlink()
    assert load(folder).source == "csv"


def test_files_of_an_interrupted_get_that_are_all_there_are_whole(folder, tmp_path):
    expected = get_from(write_competition(tmp_path / "new"), folder)
    note = json.loads((folder / markers.NAME).read_text())
    (folder / markers.NAME).write_text(json.dumps(note | {"complete": False}))
    assert load(folder).train.fingerprint == expected.train.fingerprint
    write_competition_zip(folder / "digit-recognizer.zip", seed=OLD)  # what it should have removed
    with pytest.raises(InputError, match=r"Not replaced or missing: digit-recognizer\.zip"):
        load(folder)
    (folder / "digit-recognizer.zip").unlink()
    assert not get("auto", folder=folder, from_path=tmp_path / "new", environment={}).kept
    assert json.loads((folder / markers.NAME).read_text())["complete"] is True


def test_a_file_that_was_changed_beside_another_is_said(folder, tmp_path):
    get_from(write_competition(tmp_path / "old", seed=OLD), folder)
    write_competition(tmp_path / "new", seed=NEW)
    (folder / "train.csv").write_bytes((tmp_path / "new" / "train.csv").read_bytes())
    (note,) = load(folder).notes
    assert note == (
        f"{folder}: train.csv was changed after `data get` put it there, test.csv was not. Do they "
        "belong together?"
    )
    assert get_from(folder, tmp_path / "other").notes == (note,)
    assert get_from(folder, tmp_path / "other").notes == (note,)  # the same files are kept
    (folder / "test.csv").write_bytes((tmp_path / "new" / "test.csv").read_bytes())
    assert load(folder).notes == ()  # all of them are others: nothing here was `data get`'s


# --------------------------------------------------------------------------------- the lock


def test_two_at_once_take_turns(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(placing, "WAIT", 0.1)
    path = write_competition_zip(tmp_path / "new.zip")
    with placing.reserve_folder(folder) as workspace:
        assert workspace.is_dir()
        with pytest.raises(
            InputError, match=f"another `kaggle-digits data get` is filling {folder}"
        ):
            get_from(path, folder)
        with pytest.raises(InputError, match="Wait for it, then run the same command again"):
            get("sample", folder=folder)
        assert workspace.is_dir()
    assert not leftovers(folder)
    get_from(path, folder)
    get_from(path, folder)  # what changes nothing needs no lock for long either


def test_reading_what_is_there_needs_no_lock(folder, monkeypatch):
    get("sample", folder=folder)
    monkeypatch.setattr(files, "lock", None)
    assert get("auto", folder=folder, environment={}).kept
    assert get("sample", folder=folder).kept


def test_data_that_is_replaced_while_it_is_read_is_read_again(folder, tmp_path, monkeypatch):
    get_from(write_competition(tmp_path / "old", seed=OLD), folder)
    new = write_competition(tmp_path / "new", seed=NEW)
    expected = get_from(new, tmp_path / "other")
    from kaggle_digits.datasets import loading

    read = loading.read

    def interrupted(found, into, **options):
        splits = read(found, into, **options)
        monkeypatch.setattr(loading, "read", read)
        get_from(new, folder)
        return splits

    monkeypatch.setattr(loading, "read", interrupted)
    assert load(folder).train.fingerprint == expected.train.fingerprint


# ------------------------------------------------------------------------------------ leftovers

DOWNLOADING = """
import sys, time
from pathlib import Path
from kaggle_digits.datasets import get

def download(folder):
    (folder / "digit-recognizer.zip").write_bytes(b"half of it")
    print("downloading", flush=True)
    time.sleep(60)

get("kaggle", folder=Path(sys.argv[1]), environment={}, download=download)
"""


@pytest.mark.parametrize("again", ["kept", "got"])
def test_what_a_killed_download_left_goes(again, folder, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", DOWNLOADING, str(folder)],
        stdout=subprocess.PIPE,
        env=product.environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"downloading\n"
    (left,) = leftovers(folder)
    assert (folder / left / "packed" / "digit-recognizer.zip").exists()
    process.kill()
    process.communicate()
    assert leftovers(folder) == [left]

    if again == "kept":
        write_competition(folder)
        assert get("auto", folder=folder, environment={}).kept
    else:
        get_from(write_competition_zip(tmp_path / "new.zip"), folder)
    assert not leftovers(folder)


def test_a_read_only_parent_is_no_reason_to_hang(tmp_path):
    (tmp_path / "input").write_text("a file")
    with pytest.raises(InputError, match="a parent folder is a file"):
        get("sample", folder=tmp_path / "input")
    assert os.listdir(tmp_path) == ["input"]  # noqa: PTH208
