"""Comparing submissions by id."""

import time

import numpy as np
import pytest

from kaggle_digits import comparison
from kaggle_digits.comparison import DigitPair
from kaggle_digits.errors import InputError
from kaggle_digits.submissions import Submission

ROWS = 28_000


def submission(labels: dict[int, int]) -> Submission:
    return Submission(np.array(list(labels), np.int64), np.array(list(labels.values()), np.uint8))


def large(seed: int = 0) -> Submission:
    labels = np.random.default_rng(seed).integers(0, 10, ROWS, dtype=np.uint8)
    return Submission(np.arange(1, ROWS + 1), labels)


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
    with pytest.raises(InputError, match=r"received 1 files to compare. Expected 2 or more"):
        comparison.compare([("a", submission({1: 1}))])


def test_fifty_whole_submissions_compare_quickly() -> None:
    many = [(str(seed), large(seed)) for seed in range(50)]
    start = time.perf_counter()
    found = comparison.compare(many)
    assert time.perf_counter() - start < 3
    assert len(found.differences) == 1225
