"""``kaggle-digits ensemble``: several runs into one submission."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kaggle_digits.cli import options


def command(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Finished runs.")],
    submission: Annotated[Path, typer.Option("--submission", metavar="CSV", help="To write.")],
    method: Annotated[
        str, typer.Option(help="mean, geometric, vote, or hill-climb on out-of-fold log loss.")
    ] = "mean",
    json: options.Json = False,
) -> None:
    """Blend finished runs into one CSV."""
    from kaggle_digits import ensembling, predictions, runs, submissions
    from kaggle_digits.errors import InputError

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
    submissions.write(submission, test.ids, blended.argmax(axis=1))
    _report(folders, weights, oof, method, submission, rows=len(test.ids), as_json=json)


def _report(
    folders: list[Path],
    weights: Any,
    oof: Any,
    method: str,
    csv: Path,
    *,
    rows: int,
    as_json: bool,
) -> None:
    from dataclasses import asdict

    from kaggle_digits import ensembling
    from kaggle_digits.evaluation import scores

    members: list[Any] = [None] * len(folders)
    blend = None
    if oof is not None:
        members = [asdict(scores(member, oof.labels)) for member in oof.probabilities]
        blend = asdict(scores(ensembling.blend(oof.probabilities, method, weights), oof.labels))
    shares = [1 / len(folders)] * len(folders) if weights is None else weights.tolist()
    if as_json:
        judged_members = [
            {"run": str(folder), "weight": share, "oof": judged}
            for folder, share, judged in zip(folders, shares, members, strict=True)
        ]
        options.print_json({"members": judged_members, "blend": blend, "submission": str(csv)})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("run", "weight", "accuracy", "log loss", "errors", box=None, pad_edge=False)
    rows_ = [*zip(map(str, folders), shares, members, strict=True), (f"= {method}", None, blend)]
    for name, share, judged in rows_:
        figures = ("", "", "")
        if judged:
            figures = (
                f"{judged['accuracy']:.5f}",
                f"{judged['log_loss']:.5f}",
                f"{judged['errors']:,}",
            )
        table.add_row(name, "" if share is None else f"{share:.3f}", *figures)
    Console().print(table)
    if oof is None:
        print("No image was held out by every run: there is no out-of-fold accuracy to show.")
    if method == "hill-climb":
        print("The weights were chosen on these same images: the blend's figures flatter a little.")
    print(f"Submission   {csv} ({rows:,} rows)")
