"""What a budget of time is spent on, and that the record goes on where it was."""

import json
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import pytest

from benchmarks import error_curve
from kaggle_digits import recipes, recording
from kaggle_digits.backend import start_keras
from kaggle_digits.cli import record as record_command
from kaggle_digits.datasets import load
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import find
from kaggle_digits.runs import Run
from kaggle_digits.training import measured_plans, planning, pseudo_labels
from kaggle_digits.training.budget import RESERVE, Budget, parse_budget
from kaggle_digits.training.configuration import TrainConfig
from kaggle_digits.training.fit import resolve_precision
from kaggle_digits.training.flop import count_flop, count_flop_of_members
from kaggle_digits.training.measured_plans import MEASURED, Measured, find_measured
from kaggle_digits.transforms.deslanting import Deslant
from tests import own_network, product, untrained
from tests.helpers import write_competition

FLOP = dict.fromkeys(planning.MEMBERS, 1e7)
RATE = 1e11


def plan(budget, images=42_000, rate=RATE):
    seconds = {name: flop / rate for name, flop in FLOP.items()}
    allowed = None if budget is None else Budget(budget, "s")
    return planning.make_plan(allowed, images, 5, seconds, FLOP)


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("90s", 90, "s"),
        ("30m", 1800, "s"),
        ("1.5h", 5400, "s"),
        ("500T", 5e14, "FLOP"),
        ("0.5pflop", 5e14, "FLOP"),
    ],
)
def test_a_budget_is_a_number_and_a_unit(text, amount, unit):
    assert parse_budget(text) == Budget(amount, unit)


@pytest.mark.parametrize("text", ["30", "m", "0m", "-3h", "30 minutes", "30mflop", "2G", ""])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(InputError, match=r"Expected a number and s, m or h, such as 30m or 8h; or"):
        parse_budget(text)


def test_a_budget_of_work_does_not_depend_on_the_machine():
    seconds = {name: flop / RATE for name, flop in FLOP.items()}
    plans = [
        planning.make_plan(
            Budget(4e14, "FLOP"),
            42_000,
            5,
            {name: one * slower for name, one in seconds.items()},
            FLOP,
        )
        for slower in (1, 10)
    ]
    assert 2e14 < plans[0].flop <= 4e14
    assert plans[0].flop == plans[1].flop
    assert plans[0].seconds < plans[1].seconds
    with pytest.raises(InputError, match=r"--budget 1T is too short: .* 4 epochs take 7T"):
        planning.make_plan(Budget(1e12, "FLOP"), 42_000, 5, seconds, FLOP)


@pytest.mark.parametrize("budget", [300, 600, 1800, 7200, 20_000])
def test_a_plan_fits_and_hardly_more_would(budget):
    found = plan(budget)
    assert found.seconds <= RESERVE * budget
    assert found.flop == 42_000 * 4 * found.seeds * found.epochs * len(found.members) * 1e7
    bigger = plan(2 * budget)
    assert bigger.flop > found.flop


def test_more_time_brings_epochs_a_second_member_all_epochs_members_and_repetitions():
    plans = [plan(60 * minutes) for minutes in (3, 7, 8, 15, 20, 35, 240)]
    assert [(len(found.members), found.epochs, found.seeds) for found in plans] == [
        (1, 6, 1),
        (1, 16, 1),
        (2, 9, 1),
        (2, 16, 1),
        (3, 16, 1),
        (4, 16, 1),
        (4, 16, 9),
    ]


def test_a_second_round_with_pseudo_labels_is_planned():
    seconds = {name: flop / RATE for name, flop in FLOP.items()}
    found = planning.make_plan(Budget(3600, "s"), 42_000, 5, seconds, FLOP, 1, 28_000)
    assert found.self_training
    images = 42_000 * 4 + 42_000 * 4 + 28_000 * 5
    assert found.flop == images * found.epochs * len(found.members) * 1e7
    models = 2 * 5 * len(found.members)
    assert found.seconds == pytest.approx(found.flop / RATE + models * planning.SECONDS_A_MODEL)
    assert found.seconds <= RESERVE * 3600
    once = plan(3600)
    assert (len(once.members), once.epochs) > (len(found.members), found.epochs)


def test_a_faster_machine_trains_longer():
    assert plan(240, rate=2 * RATE).epochs > plan(240).epochs


def test_a_slow_member_is_planned_as_slow():
    seconds = {name: flop / RATE for name, flop in FLOP.items()}
    slow = planning.make_plan(
        None, 42_000, 5, seconds | {planning.MEMBERS[2]: 3 * 1e7 / RATE}, FLOP
    )
    members = len(planning.MEMBERS)
    models, slower = 15 * members, (members + 2) / members
    trained = plan(None).seconds - models * planning.SECONDS_A_MODEL
    assert slow.seconds - models * planning.SECONDS_A_MODEL == pytest.approx(slower * trained)
    assert slow.rate == pytest.approx(RATE / slower)


def test_a_budget_too_short_says_what_fits():
    with pytest.raises(InputError, match=r"--budget 30s is too short: .* 4 epochs take \d+m"):
        plan(30)
    with pytest.raises(InputError, match=r"4 epochs take \d\ds\. Use --budget \d\ds or more"):
        plan(1, images=1000)


def test_without_a_budget_it_is_everything():
    assert plan(None).members == planning.MEMBERS
    assert plan(None).seeds == 3


def test_measured_plans_are_those_of_the_results():
    points = {
        (tuple(point.name.split(" + ")), point.errors, point.standard_error, point.flop)
        for point in error_curve.read_points(error_curve.RESULTS / "all-images.csv")
    }
    flop = count_flop_of_members(planning.MEMBERS)
    for found in MEASURED:
        more = ("self-training",) if found.self_training else ()
        images = 42_000 * (found.folds - 1) * found.epochs
        if found.self_training:
            images += images + 27_640 * found.folds * found.epochs  # test images with a label
        pflop = images * sum(flop[name] for name in found.members) / 1e15
        point = ((*found.members, *more), found.errors, round(found.standard_error))
        assert (*point, round(pflop, 2) * 1e15) in points


def test_a_measured_plan_is_found_for_larger_plans_of_its_members(monkeypatch):
    def measured(members, folds, epochs, errors):
        return Measured(members, self_training=False, folds=folds, epochs=epochs, errors=errors)

    pair = planning.MEMBERS[:2]
    short, long = measured(pair, 4, 8, 150), measured(pair, 5, 16, 120)
    monkeypatch.setattr(measured_plans, "MEASURED", (long, short))
    plan = planning.Plan(pair, 5, 1, 16, 1e15, 1e11, 1e4)
    assert find_measured(plan, 42_000) == long
    assert find_measured(replace(plan, epochs=12), 42_000) == short
    assert find_measured(replace(plan, folds=4), 42_000) == short
    for other in (
        replace(plan, epochs=7),
        replace(plan, folds=3),
        replace(plan, seeds=2),
        replace(plan, self_training=True),
        replace(plan, members=planning.MEMBERS),
        replace(plan, members=("record-width", "record-5")),
    ):
        assert find_measured(other, 42_000) is None
    assert find_measured(plan, 41_999) is None


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (16, "124 ± 11 errors in 42,000 images, out-of-fold, as measured with 5 folds of 15 epo"),
        (14, "123 ± 11 errors in 42,000 images, out-of-fold, as measured with 4 folds of 8 epochs"),
        (4, "unknown: no such plan was measured"),
    ],
)
def test_the_command_says_how_many_errors_to_expect(epochs, expected):
    pair = planning.Plan(planning.MEMBERS[:2], 5, 1, epochs, 1e15, 1e11, 1e4)
    assert expected in record_command._describe_expected(pair, 42_000)


MADE_FOR: dict[str, Any] = {
    "train_fingerprint": "abc",
    "backend": "tensorflow",
    "members": {"record-5": {}},
    "jobs": None,
}


def test_a_plan_is_kept_for_the_same_data_and_arithmetic(tmp_path):
    path = tmp_path / "plan.json"
    assert planning.load_plan(path, MADE_FOR) is None
    planning.save_plan(path, plan(1800), MADE_FOR)
    assert planning.load_plan(path, MADE_FOR) == plan(1800)
    assert planning.load_plan(path, MADE_FOR | {"train_fingerprint": "xyz"}) is None
    assert planning.load_plan(path, MADE_FOR | {"members": {"record-3": {}}}) is None
    assert planning.load_plan(path, MADE_FOR | {"jobs": 4}) is None
    before = {name: value for name, value in MADE_FOR.items() if name != "jobs"}
    planning.save_plan(path, plan(1800), before)  # as earlier versions did
    assert planning.load_plan(path, MADE_FOR | {"jobs": 4}) == plan(1800)
    path.write_text("{")
    with pytest.raises(InputError, match="Remove the file to make a new plan"):
        planning.load_plan(path, MADE_FOR)


@pytest.mark.parametrize(("budget", "measured"), [("100s", 2), ("1T", 1)])
def test_a_plan_for_a_time_is_made_for_its_number_of_jobs(budget, measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    measure = mock.Mock(return_value={"dense": 1e-5})
    monkeypatch.setattr(planning, "measure_seconds", measure)
    monkeypatch.setattr(recording, "count_flop_of_members", lambda _: {"dense": 1e6})
    splits = load(write_competition(tmp_path / "data", train=120, test=20))
    plans = []
    for jobs in (4, 1, 1):
        train = TrainConfig(recipe=find("dense"), folds=4, jobs=jobs)
        config = recording.RecordConfig(train=train, budget=budget, members=("dense",))
        plans.append(recording.find_plan(config, splits))
    assert measure.call_count == measured
    assert plans[1] == plans[2]
    assert all(parse_budget(budget).holds(seconds=one.seconds, flop=one.flop) for one in plans)


def test_spaces_around_a_budget_name_the_same_plan(tmp_path):
    splits = load(write_competition(tmp_path / "data", train=120, test=20))
    train = TrainConfig(recipe=find("dense"))
    names = {
        recording.RecordConfig(train=train, budget=budget).name_plan(splits)
        for budget in ("30m", " 30M ")
    }
    assert names == {"record-30m-5-fold-csv"}


def test_operations_are_counted_from_the_layers():
    start_keras()
    assert count_flop(find("dense").network()) == 6 * (784 * 512 + 512 * 10)
    convolutions = 26**2 * 9 * 32 + 13**2 * 9 * 32 * 48 + 7**2 * 4 * 48 * 64
    assert count_flop(find("bn20").network()) == 6 * (convolutions + 576 * 3168 + 3168 * 10)


@pytest.mark.parametrize(
    ("budget", "test_images", "folds", "members", "epochs"),
    [("210T", 0, 4, 2, 8), ("600T", 28_000, 4, 2, 8), ("1334T", 0, 8, 3, 15)],
)
def test_the_plans_of_the_results_are_made(budget, test_images, folds, members, epochs):
    flop = count_flop_of_members(planning.MEMBERS)
    seconds = dict.fromkeys(flop, 2e-4)
    found = planning.make_plan(
        parse_budget(budget), 42_000, folds, seconds, flop, pseudo_labelled=test_images
    )
    assert found.members == planning.MEMBERS[:members]
    assert (found.seeds, found.epochs) == (1, epochs)


@pytest.mark.parametrize("name", ["5", "width"])
def test_members_of_earlier_csvs_are_kept_as_files(name):
    now = find(f"record-{name}")
    before = find(f"benchmarks/record_{name}_adamw.py")
    assert (now.training.optimizer, now.training.epochs) == ("muon", 16)
    assert before.training == replace(now.training, optimizer="adamw", epochs=20)
    assert before.deslant == now.deslant


def test_the_command_follows_the_plan_that_it_finds(tmp_path, monkeypatch):
    for name in ("record-width", "record-5"):
        network = partial(untrained.tiny_network, (28, 28, 1), 4)
        monkeypatch.setitem(recipes.RECIPES, name, replace(find(name), network=network))
    data = write_competition(tmp_path / "data", train=120, test=20)
    small = planning.Plan(("record-width", "record-5"), 2, 2, 1, 1e9, 1e9, 60.0)
    train = load(data).train
    trainings = planning.configure_members(len(train), 2, None)
    made_for = planning.circumstances(train, trainings)
    planning.save_plan(tmp_path / "runs" / "record-1m-2-fold-csv" / "plan.json", small, made_for)
    record = ("record", "--budget", "1m", "--folds", "2")
    with untrained.training_takes_no_time():
        done = product.call(*record, "--input", data, cwd=tmp_path)
    assert "record-width, record-5: 2 folds × 2 seeds × 1 epochs, 8 models" in done.stderr
    assert "Expected     unknown: no such plan was measured\n" in done.stderr
    assert (tmp_path / "submissions" / "record-1m-2-fold-csv.csv").exists()
    assert "= mean" in done.stdout
    # One run for each repetition, so that a larger budget finds what a smaller one trained.
    names = [path.parent.name for path in sorted((tmp_path / "runs").glob("*/run.json"))]
    assert names == [
        f"record-{member}-2-fold{seed}-e1-csv" for member in (5, "width") for seed in ("", "-seed1")
    ]
    first, last = (Run(tmp_path / "runs" / names[place]).settings for place in (0, -1))
    assert (first.recipe, first.deslant) == ("record-5", None)
    few = resolve_precision(find("record-5").training).for_images(len(train) // 2, epochs=1)
    assert first.training == few
    assert (last.recipe, last.deslant) == ("record-width", Deslant(width=14))


def test_members_may_be_recipes_of_ones_own(tmp_path):
    data = write_competition(tmp_path / "data", train=120, test=20)
    (tmp_path / "my_net.py").write_text(own_network.TEXT)
    record = ("record", "--members", "my_net.py,dense", "--folds", "2", "--budget", "1m")
    done = product.call(*record, "--plan", "--input", data, cwd=tmp_path)
    assert "Plan         my_net.py" in done.stderr
    [path] = (tmp_path / "runs").glob("*/plan.json")
    assert path.parent.name == "record-1m-2-fold-my-net-dense-csv"
    kept = json.loads(path.read_text())
    kept["plan"] |= {"members": ["my_net.py", "dense"], "epochs": 1, "seeds": 1}
    path.write_text(json.dumps(kept))
    with untrained.training_takes_no_time():
        done = product.call(*record, "--input", data, cwd=tmp_path)
    assert "Plan         my_net.py, dense: 2 folds × 1 seed × 1 epochs, 4 models" in done.stderr
    assert (tmp_path / "submissions" / "record-1m-2-fold-my-net-dense-csv.csv").exists()
    with (tmp_path / "my_net.py").open("a") as file:  # another file is another plan
        file.write("# changed\n")
    train, members = load(data).train, (str(tmp_path / "my_net.py"), "dense")
    changed = planning.circumstances(
        train, planning.configure_members(len(train), 2, None, members)
    )
    before, after = kept["made_for"]["recipe_sha256"], changed["recipe_sha256"]
    assert list(before.values()) != list(after.values())
    assert planning.load_plan(path, changed) is None


@pytest.mark.slow  # `record --members` measures and plans in the other tests
def test_the_command_measures_and_says_its_plan(tmp_path):
    data = write_competition(tmp_path / "data", train=120, test=20)
    done = product.call("record", "--budget", "5m", "--plan", "--input", data, cwd=tmp_path)
    assert "GFLOP/s, measured here" in done.stderr
    again = product.call("record", "--budget", "5m", "--plan", "--input", data, cwd=tmp_path)
    measuring, plan = done.stderr.split("\n", 1)
    assert measuring.startswith("Measuring how fast this machine trains")
    assert again.stderr == plan, "it is kept"
    assert "remove it to make a new plan" in plan


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--submission", "data/train.csv/x.csv"), "a parent folder is a file"),
        (("--limit", "5"), "--limit 5 does not fit the data"),
        (("--folds", "13"), "13 folds need at least 13 images per class; the data has 12 of class"),
        (("--budget", "soon"), "--budget 'soon' is neither a time nor an amount of work"),
        (("--members", "dense,dense"), "--members names 'dense' more than once"),
        (("--members", "dense, dens"), "unknown recipe 'dens'"),
        (("--members", "dense,cifar-deep"), "recipe 'cifar-deep' takes images of (32, 32, 3)"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_measured(options, expected, tmp_path):
    data = write_competition(tmp_path / "data", train=120, test=20)
    done = product.call("record", "--input", data, *options, cwd=tmp_path, code=2)
    assert expected in done.stderr
    assert not (tmp_path / "runs").exists()


def test_the_second_round_learns_from_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(pseudo_labels, "MIN_PROBABILITY", 0.0)  # the answers here are random
    for name in planning.MEMBERS[:2]:
        network = partial(untrained.tiny_network, (28, 28, 1), 4)
        monkeypatch.setitem(recipes.RECIPES, name, replace(find(name), network=network))
    data = write_competition(tmp_path / "data", train=120, test=20)
    small = planning.Plan(planning.MEMBERS[:2], 2, 1, 1, 1e9, 1e9, 60.0, self_training=True)
    train = load(data).train
    trainings = planning.configure_members(len(train), 2, None)
    made_for = planning.circumstances(train, trainings, 20)
    path = tmp_path / "runs" / "record-1m-2-fold-self-training-csv" / "plan.json"
    planning.save_plan(path, small, made_for)
    record = ("record", "--budget", "1m", "--folds", "2", "--self-training", "--input", data)
    with untrained.training_takes_no_time():
        done = product.call(*record, cwd=tmp_path)
    assert "8 models in two rounds, the second with pseudo-labels" in done.stderr
    runs = {path.parent.name for path in (tmp_path / "runs").glob("*/pseudo-labels.npy")}
    assert len(runs) == 2
    assert all("-pseudo-" in name and f"runs/{name}" in done.stdout for name in runs)
    blended = done.stdout[done.stdout.index("= mean") :]
    assert (tmp_path / "submissions" / "record-1m-2-fold-self-training-csv.csv").exists()
    with untrained.training_takes_no_time():
        again = product.call(*record, cwd=tmp_path)
    assert "epoch" not in again.stderr.replace("1 epochs", "")  # all four runs are finished
    assert again.stdout.endswith(blended)
