"""What `compare` prints, line by line."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.cli import printing
from kaggle_digits.terminal_text import describe_count

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.score_bounds import ScoreBounds
    from kaggle_digits.report import Written as PageFiles
    from kaggle_digits.submissions.comparison import Comparison, Paired

SHOWN_PAIRS = 20  # pairs of files listed
SHOWN_DIGITS = 5  # pairs of digits listed per pair of files
SHOWN_IDS = 15
COLUMNS = 10  # columns of a table with one column per file; more do not fit on a terminal
SIGNIFICANT = 0.05


def describe_agreement(compared: "Comparison", leaked: dict[str, int]) -> Iterator[str]:
    """Yield the files and the share of images on which each pair agrees."""
    names = compared.names
    for number, name in enumerate(names, start=1):
        mark = (
            f" ({describe_count(leaked[name], 'test image')} in training)" if name in leaked else ""
        )
        yield f"[{number}] {name}{mark}"
    yield f"\nagreement over {describe_count(len(compared.ids), 'image')}"
    for first in range(0, len(names), COLUMNS):  # in blocks that fit on a terminal
        block = slice(first, first + COLUMNS)
        yield " " * 5 + "".join(f"{f'[{n}]':>9}" for n in range(1, len(names) + 1)[block])
        for number, row in enumerate(compared.agreement, start=1):
            yield f"{f'[{number}]':>5}" + "".join(f"{share:>9.5f}" for share in row[block])


def describe_differences(compared: "Comparison") -> Iterator[str]:
    """Yield, for each pair of files, the digits by which they differ."""
    numbered = zip(
        combinations(range(1, len(compared.names) + 1), 2), compared.differences, strict=True
    )
    shown = sorted(numbered, key=lambda pair: -pair[1].differing)
    yield "\ndisagreements of each pair, by predicted digit"
    yield "    A    B   images  A says  B says   times"
    for (a, b), difference in shown[:SHOWN_PAIRS]:
        start = f"{f'[{a}]':>5}{f'[{b}]':>5}{difference.differing:>9,}"
        for pair in difference.digits[:SHOWN_DIGITS]:
            yield f"{start}{pair.a_label:>8}{pair.b_label:>8}{pair.count:>8,}"
            start = " " * len(start)
        others = difference.digits[SHOWN_DIGITS:]
        if others or not difference.digits:
            rest = f"{'others':>16}{sum(pair.count for pair in others):>8,}" if others else ""
            yield start + rest
    if len(shown) > SHOWN_PAIRS:
        left = describe_count(len(shown) - SHOWN_PAIRS, "more pair")
        yield f"{left} with fewer differences: see --json"


def describe_disputed(compared: "Comparison") -> Iterator[str]:
    """Yield the images on which not all files agree, the most disputed first."""
    rows = compared.disputed
    if not len(rows):
        yield "\nall files agree on every image"
        return
    yield f"\n{describe_count(len(rows), 'disputed image')}, the most split first"
    if len(compared.names) > COLUMNS:
        shown = ", ".join(map(str, compared.disputed_ids[:SHOWN_IDS]))
        yield f"ImageId {shown}" + (", …" if len(rows) > SHOWN_IDS else "")
        return
    yield "  ImageId" + "".join(f"{f'[{n}]':>6}" for n in range(1, len(compared.names) + 1))
    for row in rows[:SHOWN_IDS]:
        answers = "".join(f"{label:>6}" for label in compared.labels[:, row])
        yield f"{compared.ids[row]:>9}{answers}"
    if len(rows) > SHOWN_IDS:
        yield f"{len(rows) - SHOWN_IDS:,} more: see --json"


def describe_scores(
    compared: "Comparison", scores: dict[str, float], bounds: "ScoreBounds"
) -> Iterator[str]:
    """Yield the known scores and the bounds that follow for the others."""
    from kaggle_digits.kaggle_client.score_bounds import show_score

    rows = bounds.rows
    yield "\nbounds of unknown public scores, from the known ones"
    yield f"{'':6}{'score':>20}{'errors':>14}"
    implied = {bound.name: bound for bound in bounds.bounds}
    for number, name in enumerate(compared.names, start=1):
        score, errors = "?", "?"
        if name in scores:
            score = f"{scores[name]:.5f}"
            errors = f"{bounds.errors[name]:,}" if name in bounds.errors else "?"
        elif name in implied:
            bound = implied[name]
            score = f"{show_score(bound.most, rows)} to {show_score(bound.fewest, rows)}"
            errors = f"{bound.fewest:,} to {bound.most:,}"
        yield f"{f'[{number}]':>5} {score:>20}{errors:>14}"
    if bounds.is_contradicted:
        yield from printing.contradictions(bounds)
        return
    best = max(scores, key=lambda name: scores[name])
    for number, name in enumerate(compared.names, start=1):
        if name in implied and implied[name].hopeless:
            yield (
                f"[{number}] cannot score above the {scores[best]:.5f} of {best}: do not spend a "
                "submission on it."
            )
    yield (
        f"Kaggle scores all {rows:,} rows, so the error counts of two files that differ in d rows "
        "differ\nby at most d."
    )


def describe_held_out(paired: "list[Paired] | None") -> Iterator[str]:
    """Yield a test of each pair of runs on the images that all held out."""
    if not paired:
        yield "\nThe runs have no held-out images in common, so accuracies cannot be compared."
        return
    yield f"\naccuracy on the {describe_count(paired[0].images, 'image')} that all runs held out"
    for pair in paired:
        verdict = "not significant" if pair.p_value >= SIGNIFICANT else "significant"
        yield f"A {pair.accuracy_a:.5f}  {pair.a}"
        yield f"B {pair.accuracy_b:.5f}  {pair.b}"
        yield (
            f"  A minus B: {pair.difference:+.5f}, 95 % confidence interval {pair.lowest:+.5f} to "
            f"{pair.highest:+.5f}"
        )
        only_a = describe_count(pair.only_a, "image")
        yield f"  only A is correct: {only_a}; only B: {pair.only_b:,}"
        yield f"  McNemar's exact test: p = {pair.p_value:.3g}, {verdict}"
    yield "The test covers the variation between images, not between training seeds."
    if len(paired) > 1:
        yield f"With {len(paired)} pairs, some p-values are below 0.05 by chance alone."


def describe_files(vote: Path | None, picture: Path | None, drawn: int) -> Iterator[str]:
    """Yield which files were written."""
    if vote is not None:
        yield f"\nmajority vote written to {vote}"
    if picture is not None:
        yield (
            f"\n{describe_count(drawn, 'disputed digit')} drawn in {picture}"
            if drawn
            else "\nno picture, because the files agree on every image"
        )


def describe_page(page: "PageFiles") -> Iterator[str]:
    """Yield the path of the page, and what it omits."""
    yield f"\npage written to {page.html}"
    for reason in page.left_out:
        yield f"omitted: {reason}"
