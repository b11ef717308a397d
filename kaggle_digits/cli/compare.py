"""``kaggle-digits compare``: where leaderboard-ready CSVs differ."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kaggle_digits.cli import options

SHOWN_PAIRS = 5  # of digits, for each pair of files
SHOWN_IDS = 20


def command(
    csvs: Annotated[list[Path], typer.Argument(metavar="CSV CSV…", help="Two files or more.")],
    vote: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Write the majority's labels there.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show on how many images CSVs agree, by which digits they differ, and where the most."""
    from kaggle_digits import comparison, submissions

    compared = comparison.compare([(str(path), submissions.read(path)) for path in csvs])
    if vote is not None:
        submissions.write(vote, compared.ids, compared.majority)
    if json:
        options.print_json(_described(compared))
        return
    _print(compared)
    if vote is not None:
        print(f"\nmajority vote written to {vote}")


def _print(compared: Any) -> None:
    images = len(compared.ids)
    for number, name in enumerate(compared.names, start=1):
        print(f"[{number}] {name}")
    print(f"\nagreement over {images:,} images")
    print("     " + "".join(f"{f'[{k}]':>9}" for k in range(1, len(compared.names) + 1)))
    for number, row in enumerate(compared.agreement, start=1):
        print(f"{f'[{number}]':>5}" + "".join(f"{share:>9.5f}" for share in row))
    numbers = {name: number for number, name in enumerate(compared.names, start=1)}
    print()
    for difference in compared.differences:
        pairs = [f"{p.a_label}→{p.b_label} {p.count:,}×" for p in difference.digits[:SHOWN_PAIRS]]
        more = ", …" if len(difference.digits) > SHOWN_PAIRS else ""
        print(
            f"[{numbers[difference.a]}] and [{numbers[difference.b]}] differ on "
            f"{difference.differing:,} images" + (f": {', '.join(pairs)}{more}" if pairs else "")
        )
    disputed = compared.disputed_ids
    if len(disputed):
        ids = ", ".join(str(id_) for id_ in disputed[:SHOWN_IDS])
        more = ", …" if len(disputed) > SHOWN_IDS else ""
        print(f"\n{len(disputed):,} disputed images, the most split first: {ids}{more}")


def _described(compared: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "files": list(compared.names),
        "images": len(compared.ids),
        "agreement": compared.agreement.tolist(),
        "differences": [asdict(difference) for difference in compared.differences],
        "disputed_ids": compared.disputed_ids.tolist(),
    }
