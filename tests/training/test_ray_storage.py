"""The storage that the nodes of a Ray cluster share.

Most tests put a loop in this process in Ray's place; the files and the messages are real.
"""

import contextlib
import importlib.util
from types import SimpleNamespace

import pytest

import kaggle_digits as kd
from kaggle_digits.errors import InputError, KaggleDigitsError, OutsideError
from kaggle_digits.training import pseudo_labels
from kaggle_digits.training.executors import ray, ray_storage, ray_worker
from kaggle_digits.training.executors.ray_storage import Storage
from tests.helpers import write_competition
from tests.untrained import training_takes_no_time

pytest.importorskip("fsspec", reason="fsspec is not installed")
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed"
)


EPOCHS = 3


class Loop:
    """A cluster that runs its tasks here, one message at a time."""

    def __init__(self):
        self.sent = []
        self.losses = 0  # still to come: each after a fold's first epoch

    def put(self, value):
        return value

    def remote(self, function, *_):
        return SimpleNamespace(remote=function)

    def wait(self, running):
        return running[:1]

    def receive(self, messages):
        name, value = next(messages)
        self.sent.append((name, value))
        if name == "epoch_done" and self.losses:
            self.losses -= 1
            return OutsideError("the node died.")
        return name, value

    def cancel(self, messages):
        messages.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_competition(tmp_path_factory.mktemp("data"), train=60, test=20)


@pytest.fixture
def cluster(monkeypatch):
    loop = Loop()
    monkeypatch.setattr(ray, "connect", lambda *_: contextlib.nullcontext(loop))
    return loop


@pytest.fixture(params=["folder", "memory"])
def address(request, tmp_path):
    """A shared folder, and a store of fsspec that is no folder."""
    return str(tmp_path / "shared") if request.param == "folder" else f"memory://{tmp_path}"


def trained(data, folder, **where):
    with training_takes_no_time():
        return kd.cross_validate(
            "dense", data, folds=2, epochs=EPOCHS, run=folder, submission=f"{folder}.csv", **where
        )


@needs_ray
def test_checkpoints_go_to_the_storage_and_folds_come_back(cluster, data, address, tmp_path):
    trained(data, tmp_path / "here", on="here")
    trained(data, tmp_path / "stored", on="ray", storage=address)
    assert (tmp_path / "stored.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    epochs = [value for name, value in cluster.sent if name == "epoch_done"]
    assert len(epochs) == 2 * EPOCHS
    assert all(contents == {} for _, contents in epochs)
    assert [value for name, value in cluster.sent if name == "done"] == [{}, {}]
    assert Storage(address).read(["run.txt"]) == {}
    system, root = ray_storage._open(address)
    assert not system.ls(root)


@needs_ray
@pytest.mark.usefixtures("cluster")
def test_pseudo_labels_reach_the_node(data, tmp_path, monkeypatch):
    monkeypatch.setattr(pseudo_labels, "MIN_PROBABILITY", 0.0)  # the answers here are random
    teacher = trained(data, tmp_path / "teacher", on="here").folder
    for place in ("here", "ray"):
        trained(data, tmp_path / place, on=place, pseudo_labels=teacher)
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


@needs_ray
def test_without_a_storage_the_messages_carry_the_files(cluster, data, tmp_path):
    trained(data, tmp_path / "sent", on="ray")
    epochs = [value for name, value in cluster.sent if name == "epoch_done"]
    assert all(set(contents) == {"history.csv", "checkpoint.keras"} for _, contents in epochs)


@needs_ray
def test_a_lost_fold_resumes_from_the_storage(cluster, data, address, tmp_path, monkeypatch):
    cluster.losses = 1
    begun = []
    train = ray_worker._train

    def look_and_train(train_fold, folder, splits, number, *rest):
        begun.append((number, (folder / f"fold-{number}" / "checkpoint.keras").exists()))
        train(train_fold, folder, splits, number, *rest)

    monkeypatch.setattr(ray_worker, "_train", look_and_train)
    trained(data, tmp_path / "run", on="ray", storage=address)
    assert begun == [(1, False), (2, False), (1, True)]


def test_the_newest_checkpoint_is_used_wherever_it_lies():
    """A run may be resumed with a storage after it was interrupted without one."""
    short = {ray_worker.HISTORY: b"head\n1\n", ray_worker.CHECKPOINT: b"old"}
    long = {ray_worker.HISTORY: b"head\n1\n2\n", ray_worker.CHECKPOINT: b"new"}
    no_checkpoint = {ray_worker.HISTORY: b"head\n1\n2\n3\n"}
    count = ray_worker._count_epochs
    assert max(short, long, no_checkpoint, {}, key=count) is long


@pytest.mark.parametrize("on", [None, "here", "processes"])
def test_a_storage_is_for_ray_alone(on, data, tmp_path):
    with pytest.raises(InputError, match=r"^storage shared is used only with on='ray'\. R"):
        trained(data, tmp_path / "run", on=on, storage="shared")


@needs_ray
@pytest.mark.usefixtures("cluster")
def test_a_node_that_does_not_share_the_folder_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Storage, "read", lambda *_: {})
    with pytest.raises(OutsideError, match=r"the node \S+ does not find the driver's files in"):
        trained(data, tmp_path / "run", on="ray", storage=str(tmp_path / "shared"))


@needs_ray
@pytest.mark.usefixtures("cluster")
def test_a_fold_that_the_driver_cannot_fetch_is_named(data, tmp_path, monkeypatch):
    written = Storage.write

    def write_elsewhere(storage, contents):
        if "model.keras" not in contents:
            written(storage, contents)

    monkeypatch.setattr(Storage, "write", write_elsewhere)
    with pytest.raises(OutsideError, match="lacks the files of a finished fold"):
        trained(data, tmp_path / "run", on="ray", storage=str(tmp_path / "shared"))


@needs_ray
@pytest.mark.usefixtures("cluster")
def test_a_storage_that_fails_during_training_ends_the_run_in_words(data, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_storage, "_write", broken_after(1))
    with pytest.raises(OutsideError, match=r"cannot write to storage .*: No space left"):
        trained(data, tmp_path / "run", on="ray", storage=str(tmp_path / "shared"))


@needs_ray
@pytest.mark.usefixtures("cluster")
def test_a_finished_fold_stays_in_the_storage_until_the_driver_has_it(data, tmp_path, monkeypatch):
    def no_space(_folder, contents, _names):
        if "model.keras" in contents:
            raise OutsideError("no space left")

    monkeypatch.setattr(ray, "_keep", no_space)
    with pytest.raises(OutsideError, match="no space left"):
        trained(data, tmp_path / "run", on="ray", storage=str(tmp_path / "shared"))
    [fold] = (tmp_path / "shared").glob("run-*/fold-1")
    assert {"finished.json", "checkpoint.keras"} <= {path.name for path in fold.iterdir()}


def broken_after(writes):
    done = []
    write = ray_storage._write

    def replacement(*call):
        done.append(call)
        if len(done) > writes:
            raise OSError("No space left on device")
        write(*call)

    return replacement


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        (
            "nosuch://x/y",
            InputError,
            "storage nosuch://x/y: Protocol not known: nosuch. Exp",
        ),
        ("FILE/x", OutsideError, "cannot write to storage .*/file/x/run-"),
    ],
)
def test_a_wrong_address_is_refused_before_training(
    address, error, message, cluster, data, tmp_path
):
    (tmp_path / "file").write_text("in the way")
    wrong = address.replace("FILE", str(tmp_path / "file"))
    with pytest.raises(error, match=message):
        trained(data, tmp_path / "run", on="ray", storage=wrong)
    assert cluster.sent == []


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
@pytest.mark.usefixtures("cluster")
def test_a_store_without_its_package_is_refused(data, tmp_path):
    with pytest.raises(InputError, match=r"storage s3://b/x: Install s3fs to access S3\. Exp"):
        trained(data, tmp_path / "run", on="ray", storage="s3://b/x")


@pytest.mark.usefixtures("cluster")
def test_a_password_in_the_address_is_refused_and_not_shown(data, tmp_path):
    with pytest.raises(KaggleDigitsError, match="storage contains a password") as caught:
        trained(data, tmp_path / "run", on="ray", storage="s3://user:pa55word@host/x")
    assert "pa55word" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_files_are_whole_or_not_there(tmp_path):
    store = Storage(str(tmp_path / "a")).inside("b")
    store.write({"one": b"1", "two": b"2"})
    store.write({"one": b"11"})
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["one", "two"]
    assert store.read(["one", "three"]) == {"one": b"11"}
    store.remove()
    store.remove()
    assert store.read(["one"]) == {}
    assert list((tmp_path / "a").iterdir()) == []
