"""Training on few images: what is adapted, when, and that a run records it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from kaggle_digits.backend import start_keras
from kaggle_digits.cli import app
from kaggle_digits.datasets import get, load
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import RECIPES, find
from kaggle_digits.recipes.recipe import MIN_PART, MIN_STEPS, MIN_TOTAL_STEPS, sequential
from kaggle_digits.runs import Run
from kaggle_digits.training import building, cross_validation, fit, predicting, splitting
from kaggle_digits.training.history import read_history
from tests.helpers import write_competition

BN20 = find("bn20").training  # batches of 256 in two parts
ALL = [recipe.training for recipe in RECIPES.values()]


@pytest.mark.parametrize("images", [33_600, 42_000])
@pytest.mark.parametrize("name", RECIPES)
def test_the_full_data_is_trained_on_as_the_recipe_says(name, images):
    assert find(name).training.for_images(images) == find(name).training


@pytest.mark.parametrize(
    ("images", "batch_size", "learning_rate", "epochs"),
    [
        (10_240, 256, 1.4e-3, 15),  # 40 steps
        (10_239, 255, 1.4e-3, 15),  # 39 steps with 256
        (3_200, 81, 7.9e-4, 15),
        (1_153, 33, 5e-4, 15),  # batches of 32 would leave one image
        (1_280, 33, 5e-4, 15),
        (240, 32, 4.9e-4, 38),  # 8 steps an epoch
        (60, 32, 4.9e-4, 60),
        (1, 32, 4.9e-4, 60),
    ],
)
def test_batches_shrink_until_an_epoch_has_40_steps(images, batch_size, learning_rate, epochs):
    found = BN20.for_images(images)
    assert (found.batch_size, found.learning_rate, found.epochs) == (
        batch_size,
        learning_rate,
        epochs,
    )
    expected = replace(BN20, batch_size=batch_size, learning_rate=learning_rate, epochs=epochs)
    assert replace(found, batch_norm_momentum=None) == expected


@pytest.mark.parametrize("own", ALL)
def test_no_part_of_a_batch_is_too_small_to_normalise(own):
    for images in range(2 * MIN_PART, 11_000, 7):
        found = own.for_images(images)
        if found.batch_size == own.batch_size:
            continue
        assert MIN_PART * own.batch_splits <= found.batch_size < own.batch_size
        assert found.steps(images) <= 1.1 * MIN_STEPS
        for count in (images, images + 1):  # the folds of a run differ by one
            rest = count % found.batch_size or found.batch_size
            assert (
                rest // own.batch_splits >= MIN_PART // 2 or count <= MIN_PART * own.batch_splits
            ), images


def test_parts_and_optimizer_count():
    one_part = find("bn20-original").training.for_images(640)  # batches of 64, in one part
    assert (one_part.batch_size, one_part.learning_rate) == (17, 5.2e-4)
    adadelta = find("two-conv").training
    assert adadelta.for_images(640).batch_size == 17
    assert adadelta.for_images(640).learning_rate == adadelta.learning_rate


def test_few_steps_are_made_up_for_by_epochs():
    own = find("fast").training
    assert own.epochs == 2
    assert own.for_images(3_200).epochs * own.for_images(3_200).steps(3_200) >= MIN_TOTAL_STEPS, (
        sequential
    )
    assert own.for_images(100).epochs == 8, "not for ever"
    assert own.for_images(20_000).epochs == 2


@pytest.mark.parametrize(
    ("images", "momentum"), [(33_600, None), (3_200, 0.9), (1_153, 0.9), (240, 0.866), (60, 0.562)]
)
def test_running_statistics_forget_their_start_within_an_epoch(images, momentum):
    found = BN20.for_images(images)
    assert found.batch_norm_momentum == momentum
    if momentum:
        assert momentum ** (found.steps(images) * found.batch_splits) <= 0.101


def test_the_users_choice_wins():
    found = BN20.for_images(1_153, epochs=3, batch_size=256, learning_rate=0.01)
    assert (found.epochs, found.batch_size, found.learning_rate) == (3, 256, 0.01)
    # Five steps of two parts: the statistics follow the batches that are trained.
    assert found.batch_norm_momentum == 0.794
    assert BN20.for_images(1_153, batch_size=128).learning_rate == BN20.learning_rate
    assert BN20.for_images(1_153, learning_rate=0.01).batch_size == 33
    assert BN20.for_images(42_000, batch_size=4_096) == replace(BN20, batch_size=4_096)
    undistorted = find("record-5").training
    assert undistorted.for_images(42_000, epochs=4) == undistorted.over(4)


def fit_rows(recipe, settings, splits, rows, folder, watcher=None):
    train = splits.train.take(rows)
    held_out = splits.train.take(np.setdiff1d(np.arange(len(splits.train)), rows))
    return fit.train_model(
        recipe,
        settings,
        train,
        held_out,
        seed=(0, 0),
        folder=folder,
        watcher=watcher or fit.NullFoldCallback(),
    )


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    get("sample", folder=folder)
    return load(folder)


def nested_network():
    from keras import Sequential, layers

    inner = Sequential([layers.Dense(8), layers.BatchNormalization(momentum=0.5)])
    outer = [layers.Flatten(), layers.BatchNormalization(), inner]
    return sequential((28, 28, 1), [*outer, layers.Dense(10, activation="softmax")])


def momenta(network):
    from keras.layers import BatchNormalization

    layers = building.layers_of(network)
    return [layer.momentum for layer in layers if isinstance(layer, BatchNormalization)]


def test_the_momentum_is_that_of_the_trained_and_of_the_saved_network(sample, tmp_path):
    start_keras()
    recipe = replace(find("dense"), network=nested_network)
    settings = replace(recipe.training, epochs=1, batch_norm_momentum=0.25)
    model, _ = fit_rows(recipe, settings, sample, np.arange(64), tmp_path)
    model.network.save(tmp_path / "model.keras", include_optimizer=False)
    assert momenta(predicting.load_model(tmp_path / "model.keras")) == [0.25, 0.25]
    assert momenta(predicting.load_model(tmp_path / "checkpoint.keras")) == [0.25, 0.25]
    own = building.limit_momentum(nested_network(), replace(settings, batch_norm_momentum=0.95))
    assert momenta(own) == [0.95, 0.5], "it is a limit"


class StopAfter(fit.NullFoldCallback):
    """A watcher that ends training after some epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def epoch_done(self, epoch):
        if epoch.epoch == self.epochs:
            raise KeyboardInterrupt


def test_the_sample_is_learnt_within_two_epochs(sample, tmp_path):
    folds = splitting.assign_folds(sample.train.labels, 5, 1, 0)
    rows = np.flatnonzero(folds[0] != 1)
    assert len(rows) == 1_153
    start_keras(BN20.batch_splits)
    settings = fit.resolve_precision(BN20.for_images(len(rows)))
    with pytest.raises(KeyboardInterrupt):
        fit_rows(find("bn20"), settings, sample, rows, tmp_path, StopAfter(2))
    assert read_history(tmp_path / "history.csv")[-1].val_accuracy > 0.8


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_competition(tmp_path_factory.mktemp("data"), train=300, test=20)


@pytest.fixture
def command(data, tmp_path, monkeypatch):
    """Return a function that starts a run without training it and returns what it printed."""

    def trained(*_arguments):
        raise InputError("nothing is trained here")

    monkeypatch.setattr(cross_validation, "train_run", trained)

    def run(*options):
        arguments = [*options, "--input", str(data), "--run", str(tmp_path / "run")]
        arguments += ["--submission", str(tmp_path / "out.csv")]
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, InputError), result.output
        return f"{result.stderr}{result.exception}"

    return run


CV = ("cv", "--recipe", "bn20", "--folds", "5")  # 240 of 300 images each


def test_run_json_records_what_is_used(command, tmp_path):
    text = command(*CV)
    used = Run(tmp_path / "run").settings.training
    assert used == fit.resolve_precision(BN20).for_images(240)
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["training"]
    assert (recorded["batch_size"], recorded["batch_norm_momentum"]) == (32, 0.866)
    assert (
        "Note: few images, 240 for each model: batch size 32 instead of 256, learning rate 0.00049 "
        "instead of 0.0014, epochs 38 instead of 15."
    ) in text


def test_what_the_user_gives_is_used_and_not_noted(command, tmp_path):
    given = ("--epochs", "3", "--batch-size", "100", "--learning-rate", "0.01")
    assert "few images" not in command(*CV, *given)
    used = Run(tmp_path / "run").settings.training
    assert (used.epochs, used.batch_size, used.learning_rate) == (3, 100, 0.01)


def test_every_fold_is_trained_alike_by_the_fewest_images(command, tmp_path):
    command("train", "--validation-split", "0", "--recipe", "fast")  # all 300
    used = Run(tmp_path / "run").settings.training
    assert used == fit.resolve_precision(find("fast").training).for_images(300)


def test_a_run_of_an_earlier_version_resumes_as_it_was_started(command, tmp_path):
    command(*CV)
    path = tmp_path / "run" / "run.json"
    begun = json.loads(path.read_text())
    begun["settings"]["training"] |= {"batch_size": 256, "learning_rate": 1.4e-3, "epochs": 15}
    del begun["settings"]["training"]["batch_norm_momentum"]  # it had none
    path.write_text(json.dumps(begun))
    text = command(*CV)
    assert "nothing is trained here" in text, "it is not refused"
    assert "the run was started by a version that did not adapt to few images, and keeps" in text
    assert "A new run (--run) uses batch size 32 instead of 256" in text
    assert json.loads(path.read_text()) == begun
    # What the command itself changes is refused as ever, with both values.
    text = command(*CV, "--batch-size", "64")
    assert "training.batch_size: the run has 256, this command has 64" in text
    assert "Use the same settings to resume it" in text
    text = command(*CV, "--limit", "200")
    assert text.index("  limit: the run has None") < text.index("  training."), "cause first"
