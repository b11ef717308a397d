"""``kaggle-digits evaluate``: how good a run is on the images that it held out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits.cli import options


def command(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    worst: Annotated[int, typer.Option(min=0, help="How many of the worst images to name.")] = 10,
    json: options.Json = False,
) -> None:
    """Judge a run by the images it held out.

    Prints accuracy, log loss, labels against predictions, and the worst images' ids.
    """
    from kaggle_digits import evaluation, runs
    from kaggle_digits.errors import InputError

    run = runs.Run(folder)
    oof = runs.oof_predictions([run])
    if oof is None or oof.labels is None:
        run.require_finished()
        raise InputError(
            f"{folder} held no images out, so there is nothing to judge it by. Expected a run of "
            "`cv`, or of `train` with a --validation-split above 0."
        )
    probabilities = oof.probabilities[0]
    scores = evaluation.scores(probabilities, oof.labels)
    names = [str(name) for name in range(probabilities.shape[1])]
    table = evaluation.cross_table(probabilities, oof.labels, names)
    images = evaluation.worst(probabilities, oof.labels, oof.ids, worst)
    if json:
        options.print_json(
            {
                "scores": asdict(scores),
                "cross_table": table.to_numpy().tolist(),
                "worst": [asdict(image) for image in images],
            }
        )
        return
    print(f"accuracy  {scores.accuracy:.5f} ± {scores.standard_error:.5f} (standard error)")
    print(f"log loss  {scores.log_loss:.5f}")
    print(f"errors    {scores.errors:,} in {scores.images:,} images that were held out\n")
    print(table.to_string())
    if images:
        print("\nworst images, by the probability of their label")
        print("id      label  predicted  p(label)  p(predicted)")
    for image in images:
        print(
            f"{image.id:<7} {image.label:<6} {image.predicted:<10} "
            f"{image.probability_of_label:<9.4f} {image.probability_of_predicted:.4f}"
        )
