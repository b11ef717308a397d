"""Messages in Python name arguments; those of the command line name options."""

import pickle

import pytest

import kaggle_digits as kd
from kaggle_digits.python_messages import name_arguments


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("--batch-size 8 is too small.", "batch_size=8 is too small."),
        ("--learning-rate 0.01. Use 1e-3.", "learning_rate=0.01. Use 1e-3."),
        ("--budget 30m is too short", "budget='30m' is too short"),
        ("--budget 'soon' is neither", "budget='soon' is neither"),
        ("Use --on processes, or leave out --jobs.", "Use on='processes', or leave out jobs."),
        ("--recipe my_net.py: no RECIPE", "recipe my_net.py: no RECIPE"),
        ("--limit N for fewer images", "limit N for fewer images"),
        ("Use the same --input, --limit and --seed.", "Use the same data, limit and seed."),
        (
            "Get it with: kaggle-digits data get --input a",
            "Get it with: kaggle-digits data get --input a",
        ),
        ("/data/--old/run is not a run", "/data/--old/run is not a run"),
        ("run `kaggle-digits cv --folds 5`", "run `kaggle-digits cv --folds 5`"),
        ("Fix that line. --debug shows the whole traceback.", "Fix that line."),
        ("Run it again, with --debug for the traceback.", "Run it again."),
        ("a kept-alive name--and more", "a kept-alive name--and more"),
    ],
)
def test_options_are_named_as_arguments(message, expected):
    assert name_arguments(message, {"input": "data"}) == expected


def test_public_functions_name_arguments():
    with pytest.raises(kd.InputError, match=r"^budget='soon' is neither a time nor"):
        kd.record(budget="soon")
    with pytest.raises(kd.InputError, match=r"kaggle-digits data get --input nosuch$"):
        kd.load("nosuch")


def test_public_functions_are_found_by_their_public_names():
    for name in kd.__all__:
        value = getattr(kd, name)
        assert pickle.loads(pickle.dumps(value)) is value, name  # noqa: S301 (our own bytes)
    assert kd.find_recipe.__qualname__ == "find_recipe"
    assert "find_recipe" in repr(kd.find_recipe)
