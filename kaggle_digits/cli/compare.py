"""``kaggle-digits compare``: show where CSVs or runs differ, and what their scores imply."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.terminal_text import escape_lines

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.score_bounds import ScoreBounds
    from kaggle_digits.report import Written as PageFiles
    from kaggle_digits.runs.provenance import Provenance
    from kaggle_digits.submissions.comparison import Comparison, Paired

PICTURE = options.SUBMISSIONS / "disputed.png"
SHOWN_PAIRS = 20  # pairs of files listed
SHOWN_DIGITS = 5  # pairs of digits listed per pair of files
SHOWN_IDS = 15
COLUMNS = 10  # columns of a table with one column per file; more do not fit on a terminal
SIGNIFICANT = 0.05

Scores = dict[str, float]


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="CSV CSV…", help="Two or more CSVs or folders of runs."),
    ],
    vote: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="File to write with the majority label of each image.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder with the data, to draw the images on which the files differ.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG",
            help=f"File for the drawing of --images.  [default: {PICTURE}]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    html: options.Html = None,
    json: options.Json = False,
) -> None:
    """Show on which images CSVs or runs differ.

    Prints the agreement of each pair, the digits by which they differ, and the most disputed
    images.

    If submissions/ledger.jsonl has scores of some files, prints the bounds that follow for the
    others. Runs are also compared on the images that all of them held out.
    """
    from kaggle_digits import submissions
    from kaggle_digits.submissions import comparison

    csvs = [_csv(path) for path in paths]
    if picture is None and images is not None:
        picture = PICTURE
    _require_writable(vote, picture, html, csvs)
    compared = comparison.compare(
        [(str(path), submissions.read(csv)) for path, csv in zip(paths, csvs, strict=True)]
    )
    bounds, scores = _bounds(compared, csvs) or (None, {})
    paired = _compare_runs([path for path in paths if path.is_dir()])
    found = _origins(paths, csvs)
    leaked = {
        str(path): origin.test_images_in_train
        for path, origin in found
        if origin and origin.test_images_in_train
    }
    drawn = _draw(picture, images or Path("input"), compared) if picture is not None else 0
    if vote is not None:
        submissions.write(vote, compared.ids, compared.majority)
        _note(vote, found)
    page = None if html is None else _write_page(html, paths, csvs, images or Path("input"))
    if json:
        written = {"vote": vote, "picture": picture if drawn else None, "html": html}
        printing.print_json(
            _describe(compared, scores, bounds, paired, written) | {"test_images_in_train": leaked}
        )
        return
    for line in chain(
        _agreement(compared, leaked),
        _differences(compared),
        _describe_disputed(compared),
        _scores(compared, scores, bounds),
        _held_out(paired),
        _written(vote, picture, drawn),
        _written_page(page),
    ):
        print(escape_lines(line))


# ---------------------------------------------------------------------------------------- parse


def _csv(path: Path) -> Path:
    if not path.is_dir():
        return path
    from kaggle_digits import runs

    run = runs.Run(path)
    run.require_finished()
    return run.submission


def _require_writable(
    vote: Path | None, picture: Path | None, html: Path | None, csvs: list[Path]
) -> None:
    """Check first that the files can be written."""
    from kaggle_digits import files, submissions
    from kaggle_digits.errors import InputError

    if vote is not None:
        submissions.require_target(vote)
        if vote.resolve() in {csv.resolve() for csv in csvs}:
            raise InputError(
                f"--vote {vote} would overwrite a file that is compared. Expected another name."
            )
    if html is not None:
        from kaggle_digits import report

        report.require_target(html)
    if picture is not None:
        from kaggle_digits import plots

        plots.require_png(picture)
        files.require_writable(picture)


def _origins(paths: Sequence[Path], csvs: Sequence[Path]) -> "list[tuple[Path, Provenance | None]]":
    """Return the provenance of each file, None if it is unknown."""
    from kaggle_digits.files import sha256_of
    from kaggle_digits.runs import provenance

    return [
        (path, provenance.find_provenance(sha256_of(csv), options.RUNS, options.SUBMISSIONS))
        for path, csv in zip(paths, csvs, strict=True)
    ]


def _note(vote: Path, found: "Sequence[tuple[Path, Provenance | None]]") -> None:
    """Record the provenance of a vote, if it is known."""
    from kaggle_digits.runs import provenance

    if origin := provenance.trace_vote(found):
        provenance.note(vote, origin, options.SUBMISSIONS)


def _bounds(compared: "Comparison", csvs: Sequence[Path]) -> "tuple[ScoreBounds, Scores] | None":
    """Return the score bounds and the known scores of these files; None without known scores."""
    entries = [
        entry for entry in printing.open_ledger().entries() if entry.public_score is not None
    ]
    if not entries:
        return None
    from kaggle_digits.files import sha256_of
    from kaggle_digits.kaggle_client.score_bounds import bound_scores, name_entry

    known = {entry.sha256: entry.public_score for entry in entries}
    hashes = {name: sha256_of(csv) for name, csv in zip(compared.names, csvs, strict=True)}
    scores = {name: known[sha256] for name, sha256 in hashes.items() if sha256 in known}
    if not scores:
        return None
    others = [entry for entry in entries if entry.sha256 not in hashes.values()]
    elsewhere = {name_entry(entry): entry.public_score for entry in others}
    return bound_scores(compared, scores, elsewhere), scores


def _compare_runs(folders: list[Path]) -> "list[Paired] | None":
    """Compare each pair of runs on the images that all held out; None without such images."""
    minimum = 2
    if len(folders) < minimum:
        return []
    from kaggle_digits import runs
    from kaggle_digits.runs import predictions
    from kaggle_digits.submissions import comparison

    oof = predictions.read_out_of_fold([runs.Run(folder) for folder in folders])
    if oof is None:
        return None
    right = oof.probabilities.argmax(axis=2) == oof.labels
    return [
        comparison.compare_pair(str(folders[a]), str(folders[b]), right[a], right[b])
        for a, b in combinations(range(len(folders)), 2)
    ]


def _write_page(html: Path, paths: Sequence[Path], csvs: Sequence[Path], data: Path) -> "PageFiles":
    """Write the page about the runs among ``paths`` and the images on which ``paths`` disagree."""
    from kaggle_digits import report, runs

    return report.write_report(
        html,
        [runs.Run(path) for path in dict.fromkeys(paths) if path.is_dir()],
        data=data,
        title="Comparison",
        entries=printing.open_ledger().entries(),
        compared=[(str(path), csv) for path, csv in zip(paths, csvs, strict=True)],
    )


def _draw(picture: Path, images: Path, compared: "Comparison") -> int:
    from kaggle_digits import datasets, plots, submissions

    test = datasets.load(images).test
    answers = submissions.Submission(compared.ids, compared.majority)
    submissions.check(answers, test.ids, name=compared.names[0], source=f"test images in {images}")
    return plots.disputed_digits(picture, compared, test)


# ---------------------------------------------------------------------------------------- print


def _agreement(compared: "Comparison", leaked: dict[str, int]) -> Iterator[str]:
    names = compared.names
    for number, name in enumerate(names, start=1):
        mark = f" ({_count(leaked[name], 'test image')} in training)" if name in leaked else ""
        yield f"[{number}] {name}{mark}"
    yield f"\nagreement over {_count(len(compared.ids), 'image')}"
    for first in range(0, len(names), COLUMNS):  # in blocks that fit on a terminal
        block = slice(first, first + COLUMNS)
        yield " " * 5 + "".join(f"{f'[{n}]':>9}" for n in range(1, len(names) + 1)[block])
        for number, row in enumerate(compared.agreement, start=1):
            yield f"{f'[{number}]':>5}" + "".join(f"{share:>9.5f}" for share in row[block])


def _differences(compared: "Comparison") -> Iterator[str]:
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
        yield f"{_count(len(shown) - SHOWN_PAIRS, 'more pair')} with fewer differences: see --json"


def _describe_disputed(compared: "Comparison") -> Iterator[str]:
    rows = compared.disputed
    if not len(rows):
        yield "\nall files agree on every image"
        return
    yield f"\n{_count(len(rows), 'disputed image')}, the most split first"
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


def _scores(compared: "Comparison", scores: Scores, bounds: "ScoreBounds | None") -> Iterator[str]:
    if bounds is None:
        return
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


def _held_out(paired: "list[Paired] | None") -> Iterator[str]:
    if paired is None:
        yield "\nThe runs have no held-out images in common, so accuracies cannot be compared."
        return
    if not paired:
        return
    yield f"\naccuracy on the {_count(paired[0].images, 'image')} that all runs held out"
    for pair in paired:
        verdict = "not significant" if pair.p_value >= SIGNIFICANT else "significant"
        yield f"A {pair.accuracy_a:.5f}  {pair.a}"
        yield f"B {pair.accuracy_b:.5f}  {pair.b}"
        yield (
            f"  A minus B: {pair.difference:+.5f}, 95 % confidence interval {pair.lowest:+.5f} to "
            f"{pair.highest:+.5f}"
        )
        yield f"  only A is correct: {_count(pair.only_a, 'image')}; only B: {pair.only_b:,}"
        yield f"  McNemar's exact test: p = {pair.p_value:.3g}, {verdict}"
    yield "The test covers the variation between images, not between training seeds."
    if len(paired) > 1:
        yield f"With {len(paired)} pairs, some p-values are below 0.05 by chance alone."


def _written(vote: Path | None, picture: Path | None, drawn: int) -> Iterator[str]:
    if vote is not None:
        yield f"\nmajority vote written to {vote}"
    if picture is not None:
        yield (
            f"\n{_count(drawn, 'disputed digit')} drawn in {picture}"
            if drawn
            else "\nno picture, because the files agree on every image"
        )


def _written_page(page: "PageFiles | None") -> Iterator[str]:
    if page is not None:
        yield f"\npage written to {page.html}"
        for reason in page.left_out:
            yield f"omitted: {reason}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _describe(
    compared: "Comparison",
    scores: Scores,
    bounds: "ScoreBounds | None",
    paired: "list[Paired] | None",
    written: dict[str, Path | None],
) -> dict[str, Any]:
    return {
        "files": list(compared.names),
        "images": len(compared.ids),
        "agreement": compared.agreement.tolist(),
        "differences": [asdict(difference) for difference in compared.differences],
        "disputed_ids": compared.disputed_ids.tolist(),
        "disputed_labels": compared.labels[:, compared.disputed].T.tolist(),
        "scores": scores,
        "score_bounds": bounds and asdict(bounds),
        "held_out": None if paired is None else [asdict(pair) for pair in paired],
        **{name: None if path is None else str(path) for name, path in written.items()},
    }
