"""Looking at data and at runs through the command line."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits import files
from kaggle_digits.errors import InputError
from kaggle_digits.plots import draw_run
from kaggle_digits.runs import Run, predictions
from tests import product
from tests.helpers import write_competition
from tests.plots.test_plots_data import CIFAR

PICTURES = ("learning-curves", "confusion", "reliability", "worst-images")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with data and a run on a part of it."""
    folder = tmp_path_factory.mktemp("trained")
    write_competition(folder / "input", train=60, test=20)
    product.call(
        "train", "--recipe", "dense", "--epochs", "1", "--validation-split", "0.5",
        "--limit", "40", "--run", "run",
        cwd=folder,
    )  # fmt: skip
    return folder


@pytest.fixture
def here(trained, tmp_path):
    """Return a copy of that folder."""
    return shutil.copytree(trained, tmp_path / "here")


def described(run: Path, **changes: Any) -> None:
    """Change ``run.json``."""
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def drawn(folder: Path) -> set[str]:
    return {path.name for path in (folder / "plots").iterdir()}


# ------------------------------------------------------------------------------------- data show


def test_data_show_draws_images_and_classes(here):
    done = product.call("data", "show", "--count", "9", cwd=here)
    assert done.stdout.splitlines() == [
        "drawn    plots/train.png",
        "drawn    plots/train-classes.png",
        "classes  " + " ".join(f"{digit}:6" for digit in range(10)),
    ]
    assert drawn(here) == {"train.png", "train-classes.png"}


def test_data_show_of_unlabelled_images_counts_no_classes(here):
    done = product.call("data", "show", "--split", "test", "--picture", "plots/a.png", cwd=here)
    assert "the test images have no labels" in done.stdout
    assert drawn(here) == {"a.png"}


def test_data_show_augments_quietly(here):
    # In a process of its own: what TensorFlow says, it says when it is imported first.
    done = product.run("data", "show", "--augment", "bn20", "--picture", "a.png", cwd=here)
    assert done.stdout == "drawn    a.png\n"
    assert done.stderr == ""
    assert (here / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--augment", "bn20-original"], "bn20-original' has no augmentation"),
        (["--picture", "a.jpg"], "received a.jpg for a picture"),
        (["--picture", "input/train.csv/a.png"], "a parent folder is a file"),
        (["--input", "nosuch"], "nosuch does not exist"),
        (["--split", "both"], "Invalid value for '--split'"),
    ],
)
def test_wrong_data_show_writes_nothing(arguments, expected, here):
    done = product.call("data", "show", *arguments, cwd=here, code=2)
    assert expected in " ".join(done.stderr.split())
    assert not list(here.rglob("*.png"))


# ---------------------------------------------------------------------------------- --plots


def test_plots_of_a_run_on_a_part_of_the_data(here):
    done = product.call("evaluate", "run", "--plots", cwd=here)
    assert drawn(here / "run") == {name + end for name in PICTURES for end in (".png", ".svg")}
    assert re.findall(r"^drawn +run/plots/(\S+)\.png$", done.stdout, re.MULTILINE) == [*PICTURES]
    assert "left out" not in done.stdout
    before = {path: path.read_bytes() for path in (here / "run" / "plots").iterdir()}
    draw_run(Run(here / "run"), here / "input")
    assert {path: path.read_bytes() for path in (here / "run" / "plots").iterdir()} == before


def test_plots_in_json_and_what_is_left_out_without_the_data(here):
    shutil.rmtree(here / "input")
    done = product.call("evaluate", "run", "--plots", "--json", cwd=here)
    plots = json.loads(done.stdout)["plots"]
    assert plots["written"] == [
        f"run/plots/{name}{end}" for name in PICTURES[:-1] for end in (".png", ".svg")
    ]
    assert list(plots["left_out"]) == ["worst-images"]
    assert "input does not exist" in plots["left_out"]["worst-images"]


def test_other_data_is_not_taken_for_the_runs(here):
    other = write_competition(here / "other", train=60, test=20, seed=1)
    ((name, reason),) = draw_run(Run(here / "run"), other).left_out
    assert name == "worst-images"
    assert "was made with other train images" in reason


def forget_held_out(run):
    """Change a run into one that held no images out."""
    (run / "oof.npz").unlink()
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(metrics | {"oof": None}))


def test_a_run_that_held_nothing_out_has_learning_curves_only(here):
    forget_held_out(here / "run")
    history = here / "run" / "fold-1" / "history.csv"
    head, row = history.read_text().splitlines()
    cells = row.split(",")
    cells[3:5] = ["nan", "nan"]
    history.write_text(f"{head}\n{','.join(cells)}\n")
    done = product.call("evaluate", "run", "--plots", cwd=here)
    assert drawn(here / "run") == {"learning-curves.png", "learning-curves.svg"}
    assert done.stdout.count("the run has no held-out images") == 3
    assert product.call("evaluate", "run", cwd=here, code=2).stdout == ""


def test_damaged_histories_leave_out_the_curves(here):
    (here / "run" / "fold-1" / "history.csv").write_text("epoch,nothing\n1,2\n")
    found = draw_run(Run(here / "run"), here / "input")
    ((name, reason),) = found.left_out
    assert name == "learning-curves"
    assert "fold-1/history.csv cannot be read: its columns are not epoch, loss" in reason
    assert len(found.written) == 6


def test_plots_that_cannot_be_written(here):
    (here / "run" / "plots").write_text("in the way")
    with pytest.raises(InputError, match="a parent folder is a file"):
        draw_run(Run(here / "run"), here / "input")


# ----------------------------------------------------------------------------------- evaluate


def test_class_names_instead_of_numbers(here):
    described(here / "run", class_names=CIFAR)
    text = product.call("evaluate", "run", cwd=here).stdout
    assert re.search(r"^predict +airplane +automobile .* truck$", text, re.MULTILINE)
    assert re.search(r"^truck( +\d+){10}$", text, re.MULTILINE)
    worst = text.partition("p(predicted)\n")[2].splitlines()
    assert len(worst) == 10
    for line in worst:
        _, label, predicted, *_ = line.split()
        assert {label, predicted} <= set(CIFAR)


def test_json_keeps_its_keys_and_has_the_calibration(here):
    described(here / "run", class_names=CIFAR)
    result = json.loads(product.call("evaluate", "run", "--json", cwd=here).stdout)
    assert {"scores", "confusion_matrix", "worst", "class_names", "calibration", "test"} <= set(
        result
    )
    assert result["class_names"] == list(CIFAR)
    assert result["scores"]["images"] == 20
    assert sum(bin_["images"] for bin_ in result["calibration"]["bins"]) == 20
    assert result["test"] is None
    assert result["plots"] is None


def test_the_test_scores_of_a_run_that_has_them(here):
    metrics = here / "run" / "metrics.json"
    values = json.loads(metrics.read_text())
    scores = values["oof"] | {"accuracy": 0.75, "errors": 5, "images": 20}
    metrics.write_text(json.dumps(values | {"test": scores}))
    text = product.call("evaluate", "run", cwd=here).stdout
    assert "\ntest      accuracy 0.75000 ± " in text
    assert "5 errors in 20 images" in text
    forget_held_out(here / "run")
    result = json.loads(product.call("evaluate", "run", "--json", cwd=here).stdout)
    assert (result["scores"], result["worst"], result["test"]) == (None, [], scores)


# ------------------------------------------------------------------------------------ --show


def test_show_prints_the_image_and_every_probability(here):
    oof = np.load(here / "run" / "oof.npz")
    image = int(oof["ids"][7])
    label, p = int(oof["labels"][7]), oof["probabilities"][7]
    done = product.call("evaluate", "run", "--show", str(image), cwd=here)
    assert done.stderr == ""
    drawing, _, said = done.stdout.partition(f"image      {image}\n")
    assert drawing.count("\n") == 28
    assert set(drawing) <= set(" ░▒▓█\n")
    assert f"label      {label}\n" in said
    assert f"predicted  {p.argmax()}, {'correct' if p.argmax() == label else 'wrong'}" in said
    for digit in range(10):
        assert re.search(rf"^{digit}  {p[digit]:.4f}", said, re.MULTILINE)
    assert f"drawn      run/plots/train-image-{image}.png" in said
    assert drawn(here / "run") == {f"train-image-{image}.png"}


def test_show_of_a_test_image(here):
    arguments = ("evaluate", "run", "--show", "20", "--split", "test")
    text = product.call(*arguments, cwd=here).stdout
    assert "label      unknown" in text
    assert drawn(here / "run") == {"test-image-20.png"}
    test = dict(np.load(here / "run" / "test.npz"))
    wrong = (test["probabilities"].argmax(axis=1) + 1) % 10
    files.write_npz(here / "run" / "test.npz", **test, labels=wrong.astype(np.uint8))
    described(here / "run", class_names=CIFAR)
    result = json.loads(product.call(*arguments, "--json", cwd=here).stdout)
    assert result["label"] == CIFAR[wrong[19]]
    assert result["predicted"] == CIFAR[test["probabilities"][19].argmax()]
    assert result["probabilities"]["cat"] == pytest.approx(float(test["probabilities"][19, 3]))
    assert result["picture"] == "run/plots/test-image-20.png"


def test_show_without_the_data_prints_what_is_known(here):
    shutil.rmtree(here / "input")
    image = int(np.load(here / "run" / "oof.npz")["ids"][0])
    done = product.call("evaluate", "run", "--show", str(image), cwd=here)
    assert "No picture: input does not exist" in done.stderr
    assert done.stdout.startswith(f"image      {image}\n")
    assert "drawn" not in done.stdout


def test_an_unknown_id_says_which_there_are(here):
    ids = np.load(here / "run" / "oof.npz")["ids"]
    done = product.call("evaluate", "run", "--show", "99999", cwd=here, code=2)
    expected = f"one of its 20 ids from {ids.min()} to {ids.max()}, such as {ids[0]}, {ids[1]}, "
    assert "run has no held-out train image with the id 99999. Expected " + expected in done.stderr
    run = Run(here / "run")
    with pytest.raises(InputError, match=r"no test image with the id 0. .* 20 ids from 1 to 20"):
        predictions.find_image(run, "test", 0)
    (here / "run" / "oof.npz").unlink()
    with pytest.raises(InputError, match=r"oof\.npz is missing\. Repeat the command"):
        predictions.find_image(run, "train", 1)
    metrics = run.metrics or {}
    (here / "run" / "metrics.json").write_text(json.dumps(metrics | {"oof": None}))
    with pytest.raises(
        InputError, match="no predictions of held-out train images: no image was held out"
    ):
        predictions.find_image(run, "train", 1)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--plots", "--show", "1"], "received --plots and --show 1"),
        (["run", "--split", "test"], "received --split test without --show ID"),
        (["nosuch.csv"], "nosuch.csv does not exist"),
        (
            ["input/train.csv", "--show", "1"],
            "--plots, --show and --suspects need the probabilities of a run",
        ),
        (
            ["input/train.csv", "--plots"],
            "--plots, --show and --suspects need the probabilities of a run",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(here, arguments, expected):
    done = product.call("evaluate", *arguments, cwd=here, code=2)
    assert expected in done.stderr


@pytest.mark.parametrize("arguments", [["--split", "test"], ["--count", "9"]])
def test_augmentation_is_drawn_of_eight_train_images_alone(here, arguments):
    done = product.call("data", "show", "--augment", "bn20", *arguments, cwd=here, code=2)
    assert f"received {' '.join(arguments)} and --augment bn20" in done.stderr
