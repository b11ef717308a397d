"""``kaggle-digits compare``: show where CSVs or runs differ, and what their scores imply."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.terminal_text import escape_lines

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.score_bounds import ScoreBounds
    from kaggle_digits.report import Written as PageFiles
    from kaggle_digits.submissions.comparison import Comparison, Paired

PICTURE = options.SUBMISSIONS / "disputed.png"

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
    from kaggle_digits.cli import compare_text
    from kaggle_digits.runs import provenance
    from kaggle_digits.safe_reading import sha256_of
    from kaggle_digits.submissions import comparison

    csvs = [_csv(path) for path in paths]
    if picture is None and images is not None:
        picture = PICTURE
    _require_writable(vote, picture, html, csvs)
    # Each file is read once: it may be a pipe.
    contents = [submissions.read_bytes(csv) for csv in csvs]
    compared = comparison.compare(
        [
            (str(path), submissions.parse(csv, content))
            for path, csv, content in zip(paths, csvs, contents, strict=True)
        ]
    )
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    bounds, scores = _bounds(compared, hashes)
    folders = [path for path in paths if path.is_dir()]
    paired = _compare_runs(folders)
    found = [
        (path, provenance.find_provenance(sha256, options.RUNS, options.SUBMISSIONS))
        for path, sha256 in zip(paths, hashes, strict=True)
    ]
    leaked = {
        str(path): origin.test_images_in_train
        for path, origin in found
        if origin and origin.test_images_in_train
    }
    if vote is not None:  # fails before a picture is drawn
        provenance.require_same_images(found)
    drawn = _draw(picture, images or Path("input"), compared) if picture is not None else 0
    if vote is not None:
        submissions.write(vote, compared.ids, compared.majority)
        # With the bytes of one of the files, the vote has the provenance of that file.
        is_new = sha256_of(vote) not in hashes
        if is_new and (origin := provenance.trace_vote(found)):
            provenance.note(vote, origin, options.SUBMISSIONS)
    page = None if html is None else _write_page(html, paths, csvs, images or Path("input"))
    if json:
        written = {"vote": vote, "picture": picture if drawn else None, "html": html}
        printing.print_json(
            _describe(compared, scores, bounds, paired, written) | {"test_images_in_train": leaked}
        )
        return
    lines = [
        *compare_text.describe_agreement(compared, leaked),
        *compare_text.describe_differences(compared),
        *compare_text.describe_disputed(compared),
    ]
    if bounds:
        lines += compare_text.describe_scores(compared, scores, bounds)
    if len(folders) > 1:
        lines += compare_text.describe_held_out(paired)
    lines += compare_text.describe_files(vote, picture, drawn)
    if page:
        lines += compare_text.describe_page(page)
    for line in lines:
        print(escape_lines(line))


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
    from kaggle_digits import submissions
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


def _bounds(compared: "Comparison", hashes: Sequence[str]) -> "tuple[ScoreBounds | None, Scores]":
    """Return the score bounds and the known scores of these files; no bounds without scores."""
    entries = [
        entry for entry in printing.open_ledger().entries() if entry.public_score is not None
    ]
    if not entries:
        return None, {}
    from kaggle_digits.kaggle_client.score_bounds import bound_scores, name_entry

    known = {entry.sha256: entry.public_score for entry in entries}
    named = zip(compared.names, hashes, strict=True)
    scores = {name: known[sha256] for name, sha256 in named if sha256 in known}
    if not scores:
        return None, {}
    others = [entry for entry in entries if entry.sha256 not in hashes]
    elsewhere = {name_entry(entry): entry.public_score for entry in others}
    return bound_scores(compared, scores, elsewhere), scores


def _compare_runs(folders: list[Path]) -> "list[Paired] | None":
    """Compare each pair of runs on the images that all held out; None without such images."""
    minimum = 2
    if len(folders) < minimum:
        return []
    from kaggle_digits import runs
    from kaggle_digits.runs import predictions
    from kaggle_digits.runs.safe_folder import DamagedRunError
    from kaggle_digits.submissions import comparison

    try:
        oof = predictions.read_out_of_fold([runs.Run(folder) for folder in folders])
    except DamagedRunError as error:  # the CSVs can still be compared
        printing.print_note(str(error))
        oof = None
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
