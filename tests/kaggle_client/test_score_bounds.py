"""What known scores imply for other files, and what contradicts that all rows are scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.kaggle_client.ledger import Entry
from kaggle_digits.kaggle_client.score_bounds import (
    ROWS,
    ScoreBounds,
    bound_ledger,
    bound_scores,
    count_errors,
    find_impossible,
    show_score,
)
from kaggle_digits.safe_reading import sha256_of
from kaggle_digits.submissions import Submission, comparison, to_text
from kaggle_digits.submissions.comparison import Comparison
from tests.kaggle_client.test_ledger import ENTRY


def differing_in(differing: int, rows: int = 1000) -> Comparison:
    """Return ``known`` and ``other``, which differ in the first ``differing`` of ``rows`` rows."""
    labels = np.zeros(rows, np.uint8)
    other = labels.copy()
    other[:differing] = 1
    ids = np.arange(1, rows + 1)
    return comparison.compare(
        [("known", Submission(ids, labels)), ("other", Submission(ids, other))]
    )


def bound(compared: Comparison, **scores: float) -> ScoreBounds:
    return bound_scores(compared, scores, {})


@pytest.mark.parametrize(("score", "errors"), [(0.99757, 68), (0.99689, 87), (1, 0), (0, ROWS)])
def test_published_scores_are_whole_numbers_of_errors(score, errors):
    assert count_errors(score, ROWS) == errors
    assert show_score(errors, ROWS) == f"{score:.5f}"


@pytest.mark.parametrize("rows", [1, 3, 999, ROWS])
def test_every_number_of_errors_is_read_back_from_its_score(rows):
    for errors in range(0, rows + 1, max(1, rows // 999)):
        assert count_errors(float(show_score(errors, rows)), rows) == errors


@pytest.mark.parametrize("score", [0.99954, 0.99758, 0.99756, 1.1, 99.5, -0.01])
def test_a_score_that_no_errors_give(score):
    """13 errors are 0.999535…, which is cut, not rounded."""
    assert count_errors(score, ROWS) is None
    assert find_impossible({"a": 0.99757, "b": score}, ROWS) == ("b",)


@pytest.mark.parametrize(
    ("differing", "score", "fewest", "most", "hopeless"),
    [
        (0, 0.99, 10, 10, True),
        (3, 0.99, 7, 13, False),
        (10, 0.99, 0, 20, False),  # as many as the known one has wrong: it may put all right
        (15, 0.99, 5, 25, False),
        (19, 0.99, 9, 29, False),
        (20, 0.99, 10, 30, True),  # at least 10 of these 20 were right before
        (400, 0.99, 390, 410, True),
        (1000, 0.5, 500, 1000, True),
        (1000, 0, 0, 1000, False),
        (7, 1, 7, 7, True),
    ],
)
def test_errors_within_the_number_of_differing_rows(differing, score, fewest, most, hopeless):
    found = bound(differing_in(differing), known=score)
    assert not found.is_contradicted
    (bounds,) = found.bounds
    assert (bounds.name, bounds.fewest, bounds.most) == ("other", fewest, most)
    assert bounds.lowest == pytest.approx(1 - most / 1000)
    assert bounds.highest == pytest.approx(1 - fewest / 1000)
    assert bounds.hopeless == hopeless


@pytest.mark.parametrize("seed", range(40))
def test_no_true_score_lies_outside_its_bounds(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, files = int(random.integers(4, 60)), 4
    truth = random.integers(0, 3, rows)
    wrong = random.random((files, rows)) < random.random((files, 1))
    answers = np.where(wrong, random.integers(0, 3, (files, rows)), truth).astype(np.uint8)
    ids = np.arange(1, rows + 1)
    compared = comparison.compare([(str(k), Submission(ids, answers[k])) for k in range(files)])
    errors = (answers != truth).sum(axis=1).tolist()
    shown = {str(k): float(show_score(errors[k], rows)) for k in range(2)}
    found = bound_scores(compared, shown, {})
    assert not found.is_contradicted
    assert found.errors == {"0": errors[0], "1": errors[1]}
    assert [bounds.name for bounds in found.bounds] == ["2", "3"]
    for bounds in found.bounds:
        assert bounds.fewest <= errors[int(bounds.name)] <= bounds.most
        if bounds.hopeless:
            assert errors[int(bounds.name)] >= min(errors[:2])


def test_several_known_scores_bind_tighter_than_one() -> None:
    ids = np.arange(1, 11)
    a, b, c = (np.zeros(10, np.uint8) for _ in range(3))
    b[:2] = 1
    c[:1] = 1
    compared = comparison.compare(
        [(name, Submission(ids, row)) for name, row in zip("abc", (a, b, c), strict=True)]
    )
    (bounds,) = bound(compared, a=0.7, b=0.5).bounds
    assert (bounds.fewest, bounds.most, bounds.hopeless) == (4, 4, True)


@pytest.mark.parametrize(
    ("differing", "known", "other", "conflict"),
    [
        (5, 0.99, 0.985, False),
        (5, 0.99, 0.984, True),  # 6 errors more, but only 5 rows differ
        (0, 0.99, 0.989, True),
        (20, 0.99, 0.99, False),
        (21, 0.99, 0.99, True),  # 21 rows differ: one of the two is wrong in 11
    ],
)
def test_two_scores_that_the_files_do_not_allow(differing, known, other, conflict):
    found = bound(differing_in(differing), known=known, other=other)
    assert found.is_contradicted == conflict
    assert [(conflict.a, conflict.b, conflict.differing) for conflict in found.conflicts] == [
        ("known", "other", differing)
    ] * conflict


def test_an_impossible_score_elsewhere_leaves_no_bounds() -> None:
    found = bound_scores(differing_in(3), {"known": 0.99}, {"third": 0.98765})
    assert (found.impossible, found.bounds) == (("third",), ())
    assert found.is_contradicted


def test_nothing_known_implies_nothing() -> None:
    found = bound(differing_in(5))
    assert (found.bounds, found.is_contradicted) == ((), False)


# ----------------------------------------------------------------------------------- the ledger


def submitted(folder: Path, name: str, differing: int, score: float | None) -> Entry:
    """Write a file of 28,000 rows and return its line in the ledger."""
    labels = np.zeros(ROWS, np.uint8)
    labels[:differing] = 1
    path = folder / f"{name}.csv"
    path.write_text(to_text(Submission(np.arange(1, ROWS + 1), labels)))
    entry = replace(ENTRY, file=str(path), sha256=sha256_of(path), public_score=score)
    return replace(entry, reference=differing, time=f"2026-01-01T00:00:00.{differing:03}+00:00")


def test_files_that_are_still_there_bound_each_other(tmp_path):
    known, pending = submitted(tmp_path, "a", 0, 0.99757), submitted(tmp_path, "b", 5, None)
    (bounds,) = bound_ledger([known, pending]).bounds
    assert (bounds.name, bounds.fewest, bounds.most) == (f"{pending.file} (reference 5)", 63, 73)


@pytest.mark.parametrize("how", ["gone", "changed", "a folder", "another file's"])
def test_files_that_are_not_there_bound_nothing(how, tmp_path):
    known, pending = submitted(tmp_path, "a", 0, 0.99757), submitted(tmp_path, "b", 5, None)
    path = tmp_path / "b.csv"
    path.unlink()
    if how == "changed":
        path.write_text("ImageId,Label\n1,2\n")
    if how == "a folder":
        path.mkdir()
    if how == "another file's":
        path.write_text("x" * (2 << 20))
        pending = replace(pending, sha256=sha256_of(path))
    assert bound_ledger([known, pending]).bounds == ()


def test_contradictions_in_the_ledger(tmp_path):
    entries = [submitted(tmp_path, "a", 0, 0.99757), submitted(tmp_path, "b", 5, 0.99689)]
    (conflict,) = bound_ledger(entries).conflicts
    assert (conflict.errors_a, conflict.errors_b, conflict.differing) == (68, 87, 5)
    gone = replace(ENTRY, file="gone.csv", public_score=0.9)
    odd = replace(ENTRY, file="odd.csv", public_score=0.12345)
    assert bound_ledger([gone, odd]).impossible == ("odd.csv (reference 1)",)
    assert bound_ledger([gone]).is_contradicted is False
    assert bound_ledger([]).is_contradicted is False
