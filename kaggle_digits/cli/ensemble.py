"""``kaggle-digits ensemble``: several runs into one submission."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options
from kaggle_digits.terminal_text import escape

if TYPE_CHECKING:
    from kaggle_digits.evaluation import Scores
    from kaggle_digits.runs import Run


def command(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Finished runs.")],
    submission: Annotated[Path, typer.Option("--submission", metavar="CSV", help="To write.")],
    method: Annotated[
        str, typer.Option(help="mean, geometric, vote, or hill-climb on out-of-fold log loss.")
    ] = "mean",
    json: options.Json = False,
) -> None:
    """Blend finished runs into one CSV."""
    from kaggle_digits import ensembling, origins, predictions, runs, submissions
    from kaggle_digits.errors import InputError
    from kaggle_digits.evaluation import scores

    ensembling.require_method(method)
    submissions.require_target(submission)
    members = [runs.Run(folder) for folder in folders]
    test, oof = predictions.on_test(members), predictions.out_of_fold(members)
    weights = None
    if method == "hill-climb":
        if oof is None or oof.labels is None:
            raise InputError(
                "--method hill-climb needs images that every run held out, with the same labels; "
                "these runs have none. Use runs of `cv` on the same data, or --method mean."
            )
        weights = ensembling.hill_climb(oof.probabilities, oof.labels)
    blended = ensembling.blend(test.probabilities, method, weights)
    judged = None
    if oof is not None and oof.labels is not None:
        judged = scores(ensembling.blend(oof.probabilities, method, weights), oof.labels)
    submissions.write(submission, test.ids, blended.argmax(axis=1))
    origin = origins.of_runs(members, judged.accuracy if judged else None)
    origins.note(submission, origin, options.SUBMISSIONS)
    _report(members, weights, oof, judged, method, submission, rows=len(test.ids), as_json=json)


def _report(
    runs: "list[Run]",
    weights: Any,
    oof: Any,
    blend: "Scores | None",
    method: str,
    csv: Path,
    *,
    rows: int,
    as_json: bool,
) -> None:
    from kaggle_digits.evaluation import scores

    folders = [str(run.folder) for run in runs]
    leaks = [run.test_images_in_train for run in runs]
    members: list[Any] = [None] * len(runs)
    if oof is not None:
        members = [asdict(scores(member, oof.labels)) for member in oof.probabilities]
    shares = [1 / len(runs)] * len(runs) if weights is None else weights.tolist()
    if as_json:
        judged_members = [
            {"run": folder, "weight": share, "oof": judged, "test_images_in_train": leaked}
            for folder, share, judged, leaked in zip(folders, shares, members, leaks, strict=True)
        ]
        options.print_json(
            {
                "members": judged_members,
                "blend": blend and asdict(blend),
                "submission": str(csv),
            }
        )
        return
    _print_table(
        [
            *zip(folders, shares, members, strict=True),
            (f"= {method}", None, asdict(blend) if blend else None),
        ]
    )
    if oof is None:
        print("No image was held out by every run: there is no out-of-fold accuracy to show.")
    if method == "hill-climb":
        print("The weights were chosen on these same images: the blend's figures flatter a little.")
    best = min((judged["errors"] for judged in members if judged), default=None)
    if blend is not None and best is not None and blend.errors > best:
        print(
            f"Worse than its best member, which has {best:,} errors: leave weak ones out, or try "
            "another --method. hill-climb looks at log loss, Kaggle at accuracy."
        )
    for folder, leaked in zip(folders, leaks, strict=True):
        if leaked:
            print(f"Trained on {leaked:,} of the test images: {escape(folder)}")
    print(f"Submission   {escape(str(csv))} ({rows:,} rows)")


def _print_table(rows: list[tuple[str, float | None, dict[str, Any] | None]]) -> None:
    """Print run or blend, weight and out-of-fold scores of each row, where there are such."""
    from rich.table import Table

    table = Table("run", "weight", "accuracy", "log loss", "errors", box=None, pad_edge=False)
    for name, share, judged in rows:
        figures = ("", "", "")
        if judged:
            figures = (
                f"{judged['accuracy']:.5f}",
                f"{judged['log_loss']:.5f}",
                f"{judged['errors']:,}",
            )
        table.add_row(escape(name), "" if share is None else f"{share:.3f}", *figures)
    options.console().print(table)
