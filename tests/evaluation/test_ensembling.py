"""Blends are distributions, do what their names say, and hill climbing lowers the log loss."""

from typing import Any

import numpy as np
import pytest

from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import ensembling, log_loss
from kaggle_digits.evaluation.ensembling import METHODS, blend, hill_climb


def random_members(seed: int, members: int = 3, images: int = 50, dtype: Any = np.float64) -> Any:
    rows = np.random.default_rng(seed).dirichlet(np.full(10, 0.3), (members, images))
    return rows.astype(dtype)


def noisy_members(labels: Any, strengths: list[float]) -> Any:
    """Return members that are right about ``labels`` the more, the higher their strength."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(len(strengths), len(labels), 10))
    logits += np.array(strengths)[:, None, None] * np.eye(10)[labels]
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=2, keepdims=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_blend_is_a_distribution_of_float64(method: str, dtype: Any) -> None:
    weights = [1, 2, 3] if method == "hill-climb" else None
    found = blend(random_members(0, dtype=dtype), method, weights)
    assert found.shape == (50, 10)
    assert found.dtype == np.float64
    assert found.min() >= 0
    assert np.allclose(found.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("method", ["mean", "geometric", "vote"])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_members_does_not_matter(method: str, seed: int) -> None:
    members = random_members(seed, members=4)
    assert np.allclose(blend(members, method), blend(members[::-1], method), atol=1e-12)


@pytest.mark.parametrize("method", ["mean", "geometric"])
def test_equal_members_blend_to_themselves(method: str) -> None:
    (member,) = random_members(0, members=1)
    assert np.allclose(blend([member, member], method), member, atol=1e-6)


def test_the_mean_is_numpys_average() -> None:
    members = random_members(1)
    assert np.allclose(blend(members), members.mean(axis=0))
    expected = np.average(members, axis=0, weights=[1, 0, 3])
    assert np.allclose(blend(members, "mean", weights=[1, 0, 3]), expected)
    assert np.array_equal(
        blend(members, "hill-climb", [1, 0, 3]), blend(members, "mean", [1, 0, 3])
    )


def test_the_geometric_mean_survives_a_members_zero() -> None:
    found = blend(np.array([[[1.0, 0.0]], [[0.1, 0.9]], [[0.1, 0.9]]]), "geometric")
    roots = np.cbrt([0.1 * 0.1, 1e-7 * 0.9 * 0.9])
    assert np.allclose(found, roots / roots.sum())


def test_the_vote_counts_members_and_not_how_sure_they_are() -> None:
    members = np.array([[[0.51, 0.49, 0]], [[0.51, 0.49, 0]], [[0.0, 1.0, 0]]])
    assert np.allclose(blend(members, "vote"), [[2 / 3, 1 / 3, 0]], atol=1e-5)


def test_a_tied_vote_goes_to_the_higher_mean_then_to_the_smaller_label() -> None:
    higher = np.array([[[0.6, 0.4, 0]], [[0.3, 0.7, 0]]])
    assert blend(higher, "vote").argmax() == 1
    equal = np.array([[[0.75, 0.25, 0]], [[0.25, 0.75, 0]]])
    assert blend(equal, "vote").argmax() == 0


def test_hill_climbing_lowers_the_log_loss_and_ignores_a_bad_member() -> None:
    labels = np.random.default_rng(1).integers(0, 10, 2000)
    members = noisy_members(labels, [3, 3, -3])
    weights = hill_climb(members, labels)
    assert weights.sum() == pytest.approx(1)
    assert weights[2] == 0
    assert weights[:2].min() > 0.3
    best = min(log_loss(member, labels) for member in members)
    climbed = log_loss(blend(members, "hill-climb", weights), labels)
    assert climbed < best - 0.01
    assert climbed < log_loss(blend(members, "mean"), labels)


def test_hill_climbing_finds_a_member_that_helps_with_little_weight_only() -> None:
    # The second member is right where the first is nearly lost, and unsure elsewhere.
    labels = np.zeros(100, int)
    first = np.tile([0.99, 0.01], (100, 1))
    first[:3] = [0.01, 0.99]
    second = np.tile([0.1, 0.9], (100, 1))
    second[:3] = [0.9, 0.1]
    assert log_loss(blend([first, second]), labels) > log_loss(first, labels)
    weights = hill_climb([first, second], labels)
    assert 0 < weights[1] < 0.5
    assert log_loss(blend([first, second], "mean", weights), labels) < log_loss(first, labels)


@pytest.mark.parametrize("seed", range(5))
def test_hill_climbing_is_never_worse_than_the_best_member(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 10, 50)
    members = random_members(seed, members=4)
    weights = hill_climb(members, labels)
    climbed = log_loss(blend(members, "mean", weights), labels)
    assert climbed <= min(log_loss(member, labels) for member in members) + 1e-9
    assert np.array_equal(weights, hill_climb(members, labels))


def test_a_temperature_undoes_what_made_a_member_unsure() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(5000, 4)) * 2
    sharp = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([random.choice(4, p=row) for row in sharp])  # sharp is calibrated
    soft = ensembling.calibrate([sharp], [3.0])[0]
    found = ensembling.find_temperatures([sharp, soft], labels)
    assert found == pytest.approx([1, 1 / 3], rel=0.1)
    again = ensembling.calibrate([soft], found[1:])[0]
    assert again == pytest.approx(ensembling.calibrate([sharp], found[:1])[0], abs=0.02)
    assert (soft.argmax(axis=1) == sharp.argmax(axis=1)).all()


def test_a_smoothed_member_is_not_outweighed_by_a_worse_one() -> None:
    """By log loss alone, a worse member without label smoothing would win."""
    random = np.random.default_rng(1)
    labels = random.integers(0, 10, 4000)
    truth = np.eye(10)[labels]

    def member(noise: float, temperature: float):
        logits = 6 * truth + noise * random.normal(size=truth.shape)
        rows = np.exp(logits - logits.max(axis=1, keepdims=True))
        return ensembling.calibrate([rows / rows.sum(axis=1, keepdims=True)], [temperature])[0]

    better, worse = member(1.5, 4.0), member(2.2, 1.0)
    assert log_loss(better, labels) > log_loss(worse, labels)
    assert hill_climb([better, worse], labels)[0] < 0.5
    found = ensembling.find_temperatures([better, worse], labels)
    assert hill_climb(ensembling.calibrate([better, worse], found), labels)[0] > 0.5


def test_certainty_stays_finite() -> None:
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    [found] = ensembling.find_temperatures([sure], np.array([0, 1]))
    assert np.isfinite(ensembling.calibrate([sure], [found])).all()


def test_hill_climbing_one_member_gives_it_all_the_weight() -> None:
    assert hill_climb(random_members(0, members=1), np.zeros(50, int)).tolist() == [1]


@pytest.mark.parametrize(
    ("members", "method", "weights", "message"),
    [
        ([], "mean", None, "received no members to blend. Expected the probabilities of one"),
        (random_members(0), "median", None, "received the method 'median'. Expected one of mean,"),
        (random_members(0), "hill-climb", None, "received no weights for the method 'hill-climb'"),
        (random_members(0), "vote", [1, 1, 1], "received weights for the method 'vote'"),
        (random_members(0), "geometric", [1, 1, 1], "received weights for the method 'geometric'"),
        (random_members(0), "mean", [1, 1], r"received the weights \[1.0, 1.0\]. Expected 3,"),
        (random_members(0), "mean", [1, 1, -1], "none below 0"),
        (random_members(0), "mean", [0, 0, 0], "not all 0"),
        (random_members(0), "mean", [1, 1, np.nan], "received the weights"),
        (
            [random_members(0)[0], random_members(0, images=49)[0]],
            "mean",
            None,
            r"shape \(49, 10\) from member 2 and \(50, 10\) from member 1. Expected the same",
        ),
        (
            [np.eye(2), np.array([[1, 0], [np.nan, 1]])],
            "geometric",
            None,
            r"probabilities of member 2 whose row 1 is \[nan, 1.0\]",
        ),
        ([np.eye(2) * 2], "vote", None, r"probabilities of member 1 whose row 0 is \[2.0, 0.0\]"),
        (np.eye(2), "mean", None, r"probabilities of member 1 of shape \(2,\)"),
    ],
)
def test_what_does_not_fit_is_refused(
    members: Any, method: str, weights: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        blend(members, method, weights)


def test_hill_climbing_refuses_labels_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r"received labels of shape \(3,\)"):
        ensembling.hill_climb(random_members(0), np.zeros(3, int))
    with pytest.raises(InputError, match=r"received the label 10. Expected 0 to 9"):
        ensembling.hill_climb(random_members(0), np.full(50, 10))


def test_a_member_without_errors_does_not_become_certain() -> None:
    rows = np.full((20, 4), 0.1)
    rows[np.arange(20), np.arange(20) % 4] = 0.7
    assert ensembling.find_temperatures([rows], np.arange(20) % 4).tolist() == [1.0]
