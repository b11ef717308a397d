"""Comparing submissions by id."""

import time

import numpy as np
import pytest

from kaggle_digits.errors import InputError
from kaggle_digits.submissions import Submission, comparison
from kaggle_digits.submissions.comparison import DigitPair, Flags
from tests.helpers import large, submission


def test_compare_goes_by_id_not_by_row() -> None:
    found = comparison.compare(
        [
            ("a", submission({1: 4, 2: 3, 3: 5, 4: 0})),
            ("b", submission({4: 0, 3: 5, 2: 5, 1: 9})),
            ("c", submission({2: 5, 1: 4, 4: 0, 3: 5})),
        ]
    )
    assert found.names == ("a", "b", "c")
    assert found.ids.tolist() == [1, 2, 3, 4]
    assert found.labels.tolist() == [[4, 3, 5, 0], [9, 5, 5, 0], [4, 5, 5, 0]]
    assert found.agreement.tolist() == [[1, 0.5, 0.75], [0.5, 1, 0.75], [0.75, 0.75, 1]]
    assert [(d.a, d.b, d.differing) for d in found.differences] == [
        ("a", "b", 2),
        ("a", "c", 1),
        ("b", "c", 1),
    ]
    assert found.differences[0].digits == (DigitPair(3, 5, 1), DigitPair(4, 9, 1))
    assert found.majority.tolist() == [4, 5, 5, 0]
    assert found.disputed_ids.tolist() == [1, 2]


def test_digits_come_most_frequent_first() -> None:
    a = submission({1: 4, 2: 4, 3: 9, 4: 1, 5: 4})
    b = submission({1: 9, 2: 9, 3: 4, 4: 1, 5: 7})
    (difference,) = comparison.compare([("a", a), ("b", b)]).differences
    assert difference.digits == (DigitPair(4, 9, 2), DigitPair(4, 7, 1), DigitPair(9, 4, 1))


def test_a_tie_goes_to_the_earliest_file_among_those_tied() -> None:
    labels = [{1: 1, 2: 8, 3: 8}, {1: 8, 2: 7, 3: 8}, {1: 3, 2: 8, 3: 8}, {1: 3, 2: 7, 3: 9}]
    labels += [{1: 8, 2: 1, 3: 8}]
    found = comparison.compare([(str(i), submission(row)) for i, row in enumerate(labels)])
    assert found.majority.tolist() == [8, 8, 8]
    assert found.disputed_ids.tolist() == [1, 2, 3]


def test_the_most_split_come_first() -> None:
    rows = [{1: 7, 2: 1, 3: 1}, {1: 7, 2: 2, 3: 1}, {1: 7, 2: 3, 3: 2}]
    found = comparison.compare([(str(i), submission(row)) for i, row in enumerate(rows)])
    assert found.disputed_ids.tolist() == [2, 3]


@pytest.mark.parametrize("seed", range(3))
def test_compare_agrees_with_counting_by_hand(seed: int) -> None:
    random = np.random.default_rng(seed)
    ids = random.permutation(np.arange(1, 61))
    labels = random.integers(0, 3, (4, 60)).astype(np.uint8)
    named = []
    for row in range(4):
        order = random.permutation(60)
        named.append((str(row), Submission(ids[order], labels[row, order])))
    found = comparison.compare(named)
    for image, id_ in enumerate(ids):
        given = labels[:, image].tolist()
        place = int(np.flatnonzero(found.ids == id_)[0])
        assert found.majority[place] == max(given, key=lambda x: (given.count(x), -given.index(x)))
        assert (id_ in found.disputed_ids) == (len(set(given)) > 1)
    for a in range(4):
        for b in range(4):
            assert found.agreement[a, b] == pytest.approx((labels[a] == labels[b]).mean())
    for difference in found.differences:
        assert difference.differing == sum(pair.count for pair in difference.digits)
        assert all(pair.a_label != pair.b_label for pair in difference.digits)


def test_compare_names_the_file_whose_ids_differ() -> None:
    a, b, c = submission({1: 1, 2: 1}), submission({2: 1, 1: 1}), submission({1: 1, 3: 1})
    message = r"c.csv: 2 rows; expected 2 \(a.csv\). Missing ImageId 2. Unexpected ImageId 3."
    with pytest.raises(InputError, match=message):
        comparison.compare([("a.csv", a), ("b.csv", b), ("c.csv", c)])


def test_compare_needs_two_files() -> None:
    with pytest.raises(InputError, match=r"received 1 file to compare. Expected 2 or more"):
        comparison.compare([("a", submission({1: 1}))])


def test_fifty_whole_submissions_compare_quickly() -> None:
    many = [(str(seed), large(seed)) for seed in range(50)]
    start = time.perf_counter()
    found = comparison.compare(many)
    assert time.perf_counter() - start < 3
    assert len(found.differences) == 1225


# ---------------------------------------------------------------------------- with known labels


def right(only_a: int, only_b: int, both: int, neither: int = 0) -> tuple[Flags, Flags]:
    counts = (only_a, only_b, both, neither)
    return np.repeat([True, False, True, False], counts), np.repeat(
        [False, True, True, False], counts
    )


@pytest.mark.parametrize(
    "counts", [(0, 0), (1, 0), (0, 5), (3, 3), (6, 5), (10, 2), (121, 59), (700, 801), (4000, 1)]
)
def test_mcnemar_is_scipys_binomial_test(counts):
    from scipy import stats

    expected = stats.binomtest(counts[0], sum(counts)).pvalue if sum(counts) else 1
    assert comparison.mcnemar(*counts) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_a_whole_training_set_is_exact_and_quick() -> None:
    assert comparison.mcnemar(20_000, 20_000) == 1
    assert comparison.mcnemar(22_000, 20_000) == pytest.approx(1.7e-22, rel=0.05)
    assert comparison.mcnemar(42_000, 0) == 0  # smaller than any float


def test_paired_counts_what_each_alone_gets_right() -> None:
    found = comparison.compare_pair("x", "y", *right(12, 5, 900, 83))
    assert (found.a, found.b, found.images) == ("x", "y", 1000)
    assert (found.only_a, found.only_b) == (12, 5)
    assert [found.accuracy_a, found.accuracy_b] == pytest.approx([0.912, 0.905])
    assert found.difference == pytest.approx(0.007)
    assert found.lowest < found.difference < found.highest
    assert found.p_value == pytest.approx(0.143, abs=1e-3)  # 2 * P(at most 5 of 17)


def test_the_other_way_round_only_the_signs_change() -> None:
    one = comparison.compare_pair("x", "y", *right(12, 5, 900, 83))
    other = comparison.compare_pair("y", "x", *right(5, 12, 900, 83))
    assert other.difference == -one.difference
    assert [other.lowest, other.highest] == pytest.approx([-one.highest, -one.lowest])
    assert other.p_value == one.p_value


def test_equal_answers_still_leave_a_doubt() -> None:
    found = comparison.compare_pair("x", "y", *right(0, 0, 990, 10))
    assert (found.difference, found.p_value) == (0, 1)
    assert found.lowest == pytest.approx(-found.highest)
    assert 0 < found.highest < 0.005


@pytest.mark.parametrize("chances", [(0.004, 0.004), (0.01, 0.003), (0.05, 0.02), (0.001, 0)])
def test_the_interval_holds_the_true_difference_95_times_in_100(chances):
    random = np.random.default_rng(0)
    a, b = chances
    inside = 0
    for only_a, only_b, both in random.multinomial(2000, [a, b, 1 - a - b], 2000):
        found = comparison.compare_pair("x", "y", *right(only_a, only_b, both))
        inside += found.lowest <= a - b <= found.highest
    assert 0.93 <= inside / 2000 <= 1


def test_paired_needs_the_same_images() -> None:
    with pytest.raises(InputError, match=r"received predictions for 3 and 2 images"):
        comparison.compare_pair("x", "y", np.ones(3, np.bool_), np.ones(2, np.bool_))
    with pytest.raises(InputError, match=r"at least one"):
        comparison.compare_pair("x", "y", np.ones(0, np.bool_), np.ones(0, np.bool_))
