"""Every format that is read, damaged in every way: a message of ours or a value, nothing else."""

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, Phase, configuration, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from kaggle_digits import credentials, evaluation, handwriting, runs, submissions
from kaggle_digits.cli import runs as listing
from kaggle_digits.datasets import finding, loading, markers
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError
from kaggle_digits.exporting import json_h5, keras_archive
from kaggle_digits.exporting import onnx as onnx_format
from kaggle_digits.formats import keras_architecture, keras_models
from kaggle_digits.handwriting.pictures import open_picture
from kaggle_digits.kaggle_client.ledger import Entry, Ledger
from kaggle_digits.runs import Run, Settings, predictions, provenance
from kaggle_digits.runs.provenance import Provenance
from kaggle_digits.training import gathering, history, planning
from tests import helpers
from tests.mutations import Change, changes, read_damaged

# Hypothesis keeps tables there, even without its database of examples.
STORAGE = tempfile.TemporaryDirectory(prefix="hypothesis-")
configuration.set_hypothesis_home_dir(STORAGE.name)

EXAMPLES = [40, pytest.param(10_000, marks=pytest.mark.slow)]
Files = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """A format.

    Attributes:
        whole: files by their path, in a folder that ``read`` reads.
        damage: each returns the files that a change makes others: as they lie there, or changed
            before they were packed.
        read: reads the folder, and raises AssertionError for a value that is none.

    """

    whole: Files
    damage: tuple[Callable[[Change], Files], ...]
    read: Callable[[Path], Any]


def damaged(whole: Files, *names: str) -> tuple[Callable[[Change], Files], ...]:
    """Return damage to the bytes of each file."""
    return tuple(lambda change, name=name: {name: change(whole[name])} for name in names)


# ------------------------------------------------------------------------------------- data sets


def read_data(folder: Path) -> Splits:
    markers.require_filled(folder, finding.list_pieces(folder))
    found = finding.find(folder)
    if found is None:
        raise InputError(f"{folder} holds no data that kaggle-digits can read.")
    splits = loading.read(found, folder, keep=False)
    for split in (splits.train, splits.test):
        assert split.images.dtype == np.uint8
        assert split.images.ndim == 4
        assert len(split) == len(split.ids) > 0
        if split.labels is not None:
            assert split.labels.shape == (len(split),)
            assert split.labels.max() < len(split.class_names)
    assert splits.train.labels is not None
    return splits


def zipped(files: Files) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(files: Files) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def npy(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def damaged_npz(name: str, arrays: dict[str, Any]) -> tuple[Callable[[Change], Files], ...]:
    """Return damage to an .npz, and to each array in it, whose checksum is then right again."""
    members = {f"{array}.npy": npy(values) for array, values in arrays.items()}
    within = tuple(
        lambda change, member=member: {name: zipped(members | {member: change(members[member])})}
        for member in members
    )
    return (*damaged({name: npz(**arrays)}, name), *within)


def csv() -> Case:
    files = {
        name: text.encode()
        for name, text in helpers.competition_files(3, 2).items()
        if name != "sample_submission.csv"
    }
    return Case(files, damaged(files, *files), read_data)


def csv_gz() -> Case:
    plain = csv().whole
    files = {f"{name}.gz": packed(data) for name, data in plain.items()}
    within = (lambda change: {"train.csv.gz": packed(change(plain["train.csv"]))},)
    return Case(files, (*damaged(files, *files), *within), read_data)


def csv_zip() -> Case:
    """Two zips of a CSV each, as Kaggle's client saves single files."""
    plain = csv().whole
    files = {f"{name}.zip": zipped({name: data}) for name, data in plain.items()}
    within = (lambda change: {"train.csv.zip": zipped({"train.csv": change(plain["train.csv"])})},)
    return Case(files, (*damaged(files, *files), *within), read_data)


def competition_zip() -> Case:
    """The competition's zip, the CSVs in a folder in it."""
    name = "digit-recognizer.zip"
    members = {f"digits/{member}": data for member, data in csv().whole.items()}
    files = {name: zipped(members)}
    within = (
        lambda change: {
            name: zipped(members | {"digits/test.csv": change(members["digits/test.csv"])})
        },
    )
    return Case(files, (*damaged(files, name), *within), read_data)


def mnist_csv() -> Case:
    names = [f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)]
    header = ",".join(["label", *names])
    rows = np.column_stack([helpers.labels(2), helpers.images(2)])
    files = {
        "mnist_train.csv": helpers.csv_text(header, rows).encode(),
        "mnist_test.csv": helpers.csv_text("", rows).encode("utf-16"),
    }
    return Case(files, damaged(files, *files), read_data)


def mnist_npz() -> Case:
    arrays = helpers.mnist_arrays(3, 2)
    return Case({"mnist.npz": npz(**arrays)}, damaged_npz("mnist.npz", arrays), read_data)


def mnist_idx() -> Case:
    arrays = helpers.mnist_arrays(3, 2)
    files = {
        "train-images-idx3-ubyte": helpers.idx_bytes(arrays["x_train"]),
        "train-labels-idx1-ubyte": helpers.idx_bytes(arrays["y_train"]),
        "t10k-images-idx3-ubyte": helpers.idx_bytes(arrays["x_test"]),
        "t10k-labels-idx1-ubyte.gz": packed(helpers.idx_bytes(arrays["y_test"])),
    }
    return Case(files, damaged(files, *files), read_data)


def cifar10() -> Case:
    files = {
        f"cifar-10-batches-py/{name}": data
        for name, data in helpers.cifar10_files((1, 1, 1, 1, 1, 1)).items()
    }
    names = [f"cifar-10-batches-py/{name}" for name in ("batches.meta", "data_batch_1")]
    return Case(files, damaged(files, *names), read_data)


def cifar10_archive() -> Case:
    plain, name = helpers.cifar10_files((1, 1, 1, 1, 1, 1)), "cifar-10-python.tar.gz"
    files = {name: packed(tarred(plain))}
    within = (
        lambda change: {name: packed(change(tarred(plain)))},
        lambda change: {name: packed(tarred(plain | {"test_batch": change(plain["test_batch"])}))},
    )
    return Case(files, (*damaged(files, name), *within), read_data)


def marker(note: dict[str, Any]) -> Case:
    files = mnist_npz().whole
    sha256 = hashlib.sha256(files["mnist.npz"]).hexdigest()
    files |= {"source.json": json.dumps(note).replace("HASH", sha256).encode()}
    return Case(files, damaged(files, "source.json"), read_data)


NOTE = {"source": "mnist", "files": {"mnist.npz": "HASH"}, "complete": True}
EARLIER_NOTE = {"source": "mnist", "test_sha256": "HASH", "files": ["mnist.npz"]}

# ------------------------------------------------------------------------------- runs and records

SCORES = {"accuracy": 0.5, "log_loss": 1.5, "errors": 2, "images": 4, "standard_error": 0.25}
PROBABILITIES = np.full((4, 10), 0.1, np.float32)
HELD_OUT = {
    "rows": np.arange(4),
    "ids": np.arange(1, 5),
    "labels": np.arange(4, dtype=np.uint8),
    "probabilities": PROBABILITIES,
}
TESTED = {"ids": np.arange(1, 5), "probabilities": PROBABILITIES}
EPOCH = history.Epoch(1, 0.5, 0.9, float("nan"), 0.9, 1e-3, 12.5, 1600.0)


def run_files() -> Files:
    description = {
        "state": "finished",
        "command": "kaggle-digits cv",
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T04:04:05+00:00",
        "settings": asdict(helpers.run_settings()),
        "class_names": list("0123456789"),
        "environment": {"python": "3.12.0", "numpy": "2.0.0", "keras": "3.12.0"},
        "test_images_in_train": 0,
    }
    metrics = {"oof": SCORES, "folds": [SCORES, None], "test": None, "seconds": 25.5}
    finished = {"seconds": 12.5, "scores": SCORES}
    rows = [asdict(replace(EPOCH, epoch=number)) for number in (1, 2)]
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return {
        "runs/a/run.json": json.dumps(description, indent=2).encode(),
        "runs/a/metrics.json": json.dumps(metrics, indent=2).encode(),
        "runs/a/fold-1/finished.json": json.dumps(finished).encode(),
        "runs/a/fold-1/history.csv": "".join(f"{line}\n" for line in lines).encode(),
        "runs/a/oof.npz": npz(**HELD_OUT),
        "runs/a/test.npz": npz(**TESTED),
        "runs/a/train-hashes.npz": npz(hashes=np.arange(4, dtype=np.uint64)),
        "runs/a/submission.csv": b"ImageId,Label\n1,0\n",
    }


def read_listing(folder: Path) -> None:
    """Read what `runs` reads."""
    readable, _ = runs.list_runs(folder / "runs")
    for run in readable:
        listing._describe(listing._row(run, None))


def read_run(folder: Path) -> None:
    """Read what commands read that are given the run."""
    run = Run(folder / "runs" / "a")
    assert isinstance(run._description["settings"], dict)
    assert isinstance(run.settings, Settings)
    assert all(isinstance(name, str) for name in run.class_names)
    run.other_versions()
    run.models()
    provenance.trace_runs([run], None)
    gathering.read_fold_scores(run, 1)
    for split in ("train", "test"):
        answer = predictions.find_image(run, split, 2)
        assert answer.probabilities.ndim == 1
        assert answer.probabilities.dtype.kind == "f"
    predictions.read_test([run])
    held_out = predictions.read_out_of_fold([run])
    assert held_out is not None
    assert held_out.labels is not None
    with contextlib.suppress(InputError):  # what is read may not be probabilities
        evaluation.scores(held_out.probabilities[0], held_out.labels)
        evaluation.confusion_matrix(held_out.probabilities[0], held_out.labels, run.class_names)
    run.count_trained_on(np.zeros((1, 28, 28, 1), np.uint8))


def of_run(*names: str, read: Callable[[Path], Any]) -> Case:
    files = run_files()
    return Case(files, damaged(files, *(f"runs/a/{name}" for name in names)), read)


def run_json() -> Case:
    return of_run("run.json", read=read_run)


def listed_runs() -> Case:
    return of_run("run.json", "metrics.json", "fold-1/finished.json", read=read_listing)


def metrics_json() -> Case:
    return of_run("metrics.json", "fold-1/finished.json", read=read_run)


def run_npz() -> Case:
    damage = (
        *damaged_npz("runs/a/oof.npz", HELD_OUT),
        *damaged_npz("runs/a/test.npz", TESTED),
        *damaged_npz("runs/a/train-hashes.npz", {"hashes": np.arange(4, dtype=np.uint64)}),
    )
    return Case(run_files(), damage, read_run)


def history_csv() -> Case:
    name = "fold-1/history.csv"
    return of_run(name, read=lambda folder: history.read_history(folder / "runs" / "a" / name))


def submission_csv() -> Case:
    files = {"a.csv": b"ImageId,Label\n" + b"".join(b"%d,%d\n" % (i, i % 10) for i in range(1, 20))}

    def read(folder: Path) -> None:
        submission = submissions.read(folder / "a.csv")
        assert submission.ids.min() > 0
        assert len(set(submission.ids.tolist())) == len(submission)
        assert submission.labels.max() < 10

    return Case(files, damaged(files, "a.csv"), read)


def ledger_jsonl() -> Case:
    entry = Entry(
        time="2026-01-02T03:04:05+00:00",
        file="submissions/a.csv",
        sha256="0" * 64,
        message="bn20, five folds",
        run="runs/a",
        recipe="bn20",
        oof_accuracy=0.995,
        reference=12345678,
        status="COMPLETE",
        public_score=0.99,
        test_images_in_train=0,
    )
    lines = [json.dumps(asdict(replace(entry, reference=number))) for number in (1, 2, None)]
    files = {"ledger.jsonl": "".join(f"{line}\n" for line in lines).encode()}

    def read(folder: Path) -> None:
        ledger = Ledger(folder / "ledger.jsonl")
        ledger.damaged()
        for entry in ledger.entries():
            assert entry.gap is None or isinstance(entry.gap, float)
            assert isinstance(f"{entry.public_score or 0:.5f} {entry.reference or 0:d}", str)
            assert isinstance(entry.time + entry.file + (entry.run or ""), str)

    return Case(files, damaged(files, "ledger.jsonl"), read)


def blends_jsonl() -> Case:
    origin = Provenance("runs/a + runs/b", "bn20 + fast", None, "csv", "1" * 64, 0)
    noted = [json.dumps({"sha256": number * 64, **asdict(origin)}) for number in "12"]
    files = {"submissions/blends.jsonl": "".join(f"{line}\n" for line in noted).encode()}
    files |= run_files()

    def read(folder: Path) -> None:
        found = provenance.find_provenance("2" * 64, folder / "runs", folder / "submissions")
        if found is not None:
            assert isinstance(found.run + found.recipe, str)
            assert found.oof_accuracy is None or isinstance(found.oof_accuracy, float | int)

    names = ("submissions/blends.jsonl", "runs/a/run.json", "runs/a/metrics.json")
    return Case(files, damaged(files, *names), read)


def plan_json() -> Case:
    plan = planning.Plan(("record-5", "record-7"), 5, 1, 12, 1e15, 2e11, 5000.0)
    files = {"plan.json": json.dumps({"plan": asdict(plan), "made_for": {"folds": 5}}).encode()}

    def read(folder: Path) -> None:
        kept = planning.load_plan(folder / "plan.json", {"folds": 5})
        assert kept is None or all(isinstance(name, str) for name in kept.members)

    return Case(files, damaged(files, "plan.json"), read)


def kaggle_json() -> Case:
    key = {"username": "somebody", "key": "0123456789abcdef0123456789abcdef"}
    files = {
        "home/.kaggle/kaggle.json": json.dumps(key).encode(),
        "other/.kaggle/credentials.json": json.dumps({"refresh_token": "abc"}).encode(),
        "other/.kaggle/access_token": b"KGAT_0123456789abcdef\n",
    }

    def read(folder: Path) -> None:
        for home in ("home", "other"):
            environment = {"HOME": str(folder / home)}
            found = credentials.find(environment)
            assert found is None or isinstance(found.secret, str)
            assert credentials.scrub("a text", environment)
            assert credentials.explain_missing(environment)

    return Case(files, damaged(files, *files), read)


# ------------------------------------------------------------------------------ pictures, exports


def picture(name: str, mode: str, **options: Any) -> Case:
    image = Image.new(mode, (48, 40), "white")
    ImageDraw.Draw(image).line([(20, 6), (28, 6), (22, 34)], "black", 4)
    content = io.BytesIO()
    image.save(content, name, **options)
    files = {"a.picture": content.getvalue()}

    def read(folder: Path) -> None:
        path = folder / "a.picture"
        grey = open_picture(path)
        assert np.isfinite(grey.pixels).all()
        if zlib.crc32(path.read_bytes()) % 8 == 0:  # what comes next takes ten times as long
            images = handwriting.read(path).images
            assert images.dtype == np.uint8
            assert images.shape[1:] == (28, 28, 1)

    return Case(files, damaged(files, "a.picture"), read)


def never_start_keras() -> None:
    """Stand in for Keras, which takes seconds to start: what comes to it has passed our part."""
    raise InputError("the file was handed on to Keras, which is not what is tested here")


def keras_export() -> Case:
    architecture = {"class_name": "Sequential", "config": {"name": "a", "layers": []}}
    members = {
        "metadata.json": b"{}",
        "config.json": json.dumps(architecture).encode(),
        "model.weights.h5": b"\x89HDF\r\n\x1a\n",
    }
    files = {"a.keras": zipped(members)}
    within = (
        lambda change: {
            "a.keras": zipped(members | {"config.json": change(members["config.json"])})
        },
    )
    return Case(
        files,
        (*damaged(files, "a.keras"), *within),
        lambda folder: keras_archive.open_model(folder / "a.keras"),
    )


def json_export() -> Case:
    architecture = {"class_name": "Sequential", "config": {"name": "a", "layers": []}}
    files = {"a.json": json.dumps(architecture).encode(), "a.weights.h5": b"\x89HDF\r\n\x1a\n"}

    def read(folder: Path) -> None:
        json_h5.require_replaceable(folder / "a.json")
        json_h5.open_model(folder / "a.json")

    return Case(files, damaged(files, "a.json"), read)


def onnx_export() -> Case:
    """A model of 4×4 images: one layer."""
    weights = onnx.numpy_helper.from_array(np.zeros((16, 10), np.float32), "weights")
    node, value, kinds = onnx.helper.make_node, onnx.helper.make_tensor_value_info, onnx.TensorProto
    nodes = [
        node("Cast", ["images"], ["a"], to=kinds.FLOAT),
        node("Flatten", ["a"], ["b"]),
        node("MatMul", ["b", "weights"], ["c"]),
        node("Softmax", ["c"], ["probabilities"]),
    ]
    images = value("images", kinds.UINT8, ["n", 4, 4, 1])
    probabilities = value("probabilities", kinds.FLOAT, ["n", 10])
    graph = onnx.helper.make_graph(nodes, "a", [images], [probabilities], [weights])
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    files = {"a.onnx": model.SerializeToString()}

    def read(folder: Path) -> None:
        found = onnx_format.open_model(folder / "a.onnx")
        answers = found.probabilities(np.zeros((2, *found.image_shape), np.uint8))
        assert answers.shape == (2, found.classes)

    return Case(files, damaged(files, "a.onnx"), read)


CASES: dict[str, Callable[[], Case]] = {
    "train.csv and test.csv": csv,
    "csv.gz": csv_gz,
    "csv.zip": csv_zip,
    "MNIST's CSVs": mnist_csv,
    "competition zip": competition_zip,
    "mnist.npz": mnist_npz,
    "IDX": mnist_idx,
    "CIFAR-10 batches": cifar10,
    "CIFAR-10 tar.gz": cifar10_archive,
    "source.json": lambda: marker(NOTE),
    "source.json, earlier": lambda: marker(EARLIER_NOTE),
    "run.json": run_json,
    "runs, listed": listed_runs,
    "metrics.json": metrics_json,
    "a run's npz": run_npz,
    "history.csv": history_csv,
    "submission": submission_csv,
    "ledger.jsonl": ledger_jsonl,
    "blends.jsonl": blends_jsonl,
    "plan.json": plan_json,
    "kaggle.json": kaggle_json,
    "PNG": lambda: picture("PNG", "RGBA"),
    "JPEG": lambda: picture("JPEG", "RGB"),
    "GIF": lambda: picture("GIF", "P"),
    "BMP": lambda: picture("BMP", "RGB"),
    "TIFF": lambda: picture("TIFF", "L", compression="tiff_lzw"),
    "WebP": lambda: picture("WEBP", "RGB"),
    ".keras": keras_export,
    "json+h5": json_export,
    "ONNX": onnx_export,
}


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", CASES)
def test_damage_ends_in_a_message_or_a_value(name, examples, tmp_path, monkeypatch, capfd, caplog):
    for module in (keras_models, keras_architecture):
        monkeypatch.setattr(module, "start_keras", never_start_keras)
    case = CASES[name]()
    for path, content in case.whole.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    read_damaged(tmp_path, case.read)

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, len(case.damage) - 1), changes())
    def damage_and_read(which: int, change: Change) -> None:
        files = case.damage[which](change)
        for path, content in files.items():
            (tmp_path / path).write_bytes(content)
        try:
            read_damaged(tmp_path, case.read)
        finally:
            for path in files:
                (tmp_path / path).write_bytes(case.whole[path])

    damage_and_read()
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")]
