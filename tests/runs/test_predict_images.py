"""``predict`` with pictures, as users type it."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from tests import product
from tests.drawn import page, photo, saved, written
from tests.helpers import write_competition


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a small run in ``run`` and its data in ``input``."""
    folder = tmp_path_factory.mktemp("trained")
    write_competition(folder / "input")
    product.call("train", "--recipe", "dense", "--epochs", "1", "--run", "run", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def three(trained):
    return saved(trained / "three.png", photo(page([written(digit) for digit in (2, 0, 7)])))


def test_pictures_for_machines(trained, three):
    (trained / "more").mkdir()
    other = saved(trained / "more" / "three.jpg", photo(np.pad(written(4), 20), "noise"))
    arguments = ("predict", "run", three, other)
    done = product.call(*arguments, "--json", "--save-debug", "seen", cwd=trained)
    found = json.loads(done.stdout)["pictures"]
    assert [picture["picture"] for picture in found] == [str(three), str(other)]
    assert [len(picture["digits"]) for picture in found] == [3, 1]
    for one in found:
        assert one["numbers"] == ["".join(str(digit["digit"]) for digit in one["digits"])]
        for digit in one["digits"]:
            assert len(digit["probabilities"]) == 10
            assert digit["probability"] == max(digit["probabilities"])
            assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert sorted(path.name for path in (trained / "seen").iterdir()) == [
        "1-three-boxes.png", "1-three-digits.png", "2-three-boxes.png", "2-three-digits.png",
    ]  # fmt: skip
    with Image.open(trained / "seen" / "1-three-digits.png") as strip:
        assert strip.size == (8 + 3 * (28 * 6 + 8), 8 + 28 * 6 + 8)
    with Image.open(three) as image, Image.open(trained / "seen" / "1-three-boxes.png") as seen:
        assert seen.size == image.size
    assert not (trained / "submissions" / "run-predicted.csv").exists()


def test_many_specks_are_one_line(trained):
    ink = page([written(digit) for digit in (2, 0)])
    few, many = ink.copy(), ink.copy()
    few[2:5, 5:8] = 1
    for left in range(2, 62, 6):
        many[2:5, left : left + 3] = 1
    few_path, path = (
        saved(trained / "few.png", photo(few)),
        saved(trained / "many.png", photo(many)),
    )
    lines = product.call("predict", "run", few_path, path, cwd=trained).stdout.splitlines()
    not_read = [line for line in lines if "not read" in line]
    assert not_read == [
        "  not read: speck, 3x3 pixels at 5,2",
        "  not read: speck, 10 shapes (--json lists them)",
    ]


def test_without_pictures_it_writes_the_csv_as_before(trained):
    done = product.call("predict", "run", "--submission", "a.csv", "--json", cwd=trained)
    assert json.loads(done.stdout) == {"submission": "a.csv", "rows": 20, "sample": False}
    assert (trained / "a.csv").read_bytes() == (trained / "run" / "submission.csv").read_bytes()


def test_predictions_for_other_data_have_its_name(trained):
    product.call("data", "get", "--source", "sample", "--input", "sample", cwd=trained)
    for source, name in (("input", "run-predicted"), ("sample", "run-predicted-sample")):
        csv = trained / "submissions" / f"{name}.csv"
        assert not csv.exists()
        product.call("predict", "run", "--input", source, cwd=trained)
        csv.rename(trained / f"{name}.csv")  # other tests expect none


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nosuch.png"], "nosuch.png does not exist"),
        (["input/train.csv"], "input/train.csv is not a readable picture"),
        (["three.png", "--submission", "b.csv"], "received --submission b.csv and pictures"),
        (["--save-debug", "seen2"], "received --save-debug seen2 without pictures"),
        (["three.png", "--save-debug", "three.png"], "a parent folder is a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_calls_write_nothing(arguments, expected, trained, three):
    before = sorted(trained.rglob("*"))
    done = product.call("predict", "run", *arguments, cwd=trained, code=2)
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(trained.rglob("*")) == before
    assert three.exists()


def test_in_words_and_what_is_drawn_stays_in_its_folder(trained, three, tmp_path):
    strange = tmp_path / "..%2f.. $(x)\n;é.png"
    strange.write_bytes(three.read_bytes())
    # The data are not looked at.
    arguments = ("predict", trained / "run", strange, "--save-debug", "d", "--input", "nowhere")
    done = product.call(*arguments, cwd=tmp_path)
    shown = re.escape(str(strange).replace("\n", "\\n"))  # a name cannot forge a line
    assert re.search(rf"^{shown}: \d{{3}}\b", done.stdout, re.MULTILINE)
    digits = re.findall(r"^  \d  0\.\d{3}  \d+x\d+ pixels at \d+,\d+", done.stdout, re.MULTILINE)
    assert len(digits) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([strange.name, "d"])
    assert [path.suffix for path in (tmp_path / "d").iterdir()] == [".png", ".png"]
    mine = tmp_path / "1-three-boxes.png"
    mine.write_bytes(three.read_bytes())
    (tmp_path / "three.png").write_bytes(three.read_bytes())
    done = product.call(
        "predict", trained / "run", "three.png", mine, "--save-debug", ".", cwd=tmp_path, code=2
    )
    assert "would be overwritten" in done.stderr
    assert mine.read_bytes() == three.read_bytes()


def test_a_picture_that_cannot_be_read_does_not_keep_back_the_others(trained, three):
    command = ("predict", "run", "input/train.csv", three, "run")
    done = product.call(*command, cwd=trained, code=2)
    assert done.stdout.startswith(f"{three}: ")
    assert "Error: input/train.csv is not a readable picture" in done.stderr
    assert "run is a folder. Expected picture files" in done.stderr
    found = json.loads(product.call(*command, "--json", cwd=trained, code=2).stdout)
    assert [picture["picture"] for picture in found["pictures"]] == [str(three)]
    assert list(found["faults"]) == ["input/train.csv", "run"]


def test_an_exported_model_answers_like_its_run(trained, three):
    product.call("train", "--recipe", "bn20", "--epochs", "1", "--run", "bn20", cwd=trained)
    product.call("export", "bn20", "--format", "onnx", "--output", "m.onnx", cwd=trained)
    product.call("predict", "--model", "m.onnx", "--submission", "m.csv", cwd=trained)
    assert (trained / "m.csv").read_bytes() == (trained / "bn20" / "submission.csv").read_bytes()
    by_model, by_run = (
        json.loads(product.call("predict", *source, three, "--json", cwd=trained).stdout)
        for source in (("--model", "m.onnx"), ("bn20",))
    )
    for one, other in zip(
        by_model["pictures"][0]["digits"], by_run["pictures"][0]["digits"], strict=True
    ):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "received neither a run nor --model"),
        (("run", "--model", "m.onnx"), "received --model m.onnx and the run run"),
        (("--model", "nosuch.keras"), "nosuch.keras does not exist. Expected an exported model"),
        (("--model", "run"), "run is a run's folder. Expected an exported model"),
    ],
)
def test_what_gives_probabilities_must_be_one_thing(trained, arguments, expected):
    done = product.call("predict", *arguments, cwd=trained, code=2)
    assert expected in " ".join(done.stderr.split())


def test_pictures_without_a_run_say_where_it_goes(trained, three):
    done = product.call("predict", three, cwd=trained, code=2)
    assert f"{three} is a file. Expected the folder of a finished run before" in done.stderr
    assert f"kaggle-digits predict RUN {three}" in done.stderr
