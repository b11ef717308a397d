import json
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits import evaluation, submissions
from kaggle_digits.errors import InputError
from tests import product

TRUTH = {1: 7, 2: 3, 3: 3, 4: 0, 5: 9, 6: 1, 7: 2, 8: 4}
ANSWERS = TRUTH | {3: 8, 5: 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("csv")
    write(folder / "answers.csv", TRUTH)
    # Another order of rows: what counts is the ids.
    write(folder / "mine.csv", dict(sorted(ANSWERS.items(), key=lambda item: item[0] * 5 % 9)))
    return folder


def write(path: Path, labels: dict[int, int]) -> None:
    submissions.write(path, list(labels), list(labels.values()))


def evaluated(folder: Path, *arguments: str, code: int = 0) -> str:
    done = product.call("evaluate", *arguments, cwd=folder, code=code)
    return done.stdout if code == 0 else done.stderr


def test_scores_table_and_wrong_ids(folder: Path) -> None:
    text = evaluated(folder, "mine.csv", "--labels", "answers.csv")
    assert "accuracy  0.75000 ± 0.15309 (standard error)" in text
    assert "errors    2 in 8 images" in text
    assert "log loss" not in text
    lines = text.splitlines()
    assert lines[-3].split() == ["id", "label", "predicted"]
    assert [line.split() for line in lines[-2:]] == [["3", "3", "8"], ["5", "9", "4"]]
    row = next(line for line in lines if line.startswith("3 "))
    assert row.split() == ["3", "0", "0", "0", "1", "0", "0", "0", "0", "1", "0"]


def test_worst_names_so_many(folder: Path) -> None:
    text = evaluated(folder, "mine.csv", "--labels", "answers.csv", "--worst", "1")
    assert "wrong labels, first 1 of 2 (--worst N lists more)" in text
    assert text.splitlines()[-1].split() == ["3", "3", "8"]
    assert "wrong" not in evaluated(folder, "mine.csv", "--labels", "answers.csv", "--worst", "0")
    assert "wrong" not in evaluated(folder, "answers.csv", "--labels", "answers.csv")


def test_json(folder: Path) -> None:
    text = evaluated(folder, "mine.csv", "--labels", "answers.csv", "--json")
    value = json.loads(text)
    assert value["scores"] == {
        "accuracy": 0.75,
        "errors": 2,
        "images": 8,
        "standard_error": pytest.approx(np.sqrt(0.75 * 0.25 / 8)),
    }
    assert np.array(value["confusion_matrix"]).shape == (10, 10)
    assert np.trace(value["confusion_matrix"]) == 6
    assert value["wrong"] == [
        {"id": 3, "label": 3, "predicted": 8},
        {"id": 5, "label": 9, "predicted": 4},
    ]


def test_ids_that_do_not_match_are_named(folder: Path, tmp_path: Path) -> None:
    labels = str(folder / "answers.csv")
    write(tmp_path / "other.csv", {1: 7, 2: 3, 3: 3, 4: 0, 5: 9, 6: 1, 9: 2, 10: 4})
    message = evaluated(tmp_path, "other.csv", "--labels", labels, code=2)
    assert f"other.csv: 8 rows; expected 8 (ids in {labels})" in message
    assert "Missing ImageId 7, 8. Unexpected ImageId 9, 10." in message
    (tmp_path / "double.csv").write_text("ImageId,Label\n1,7\n2,3\n1,7\n")
    message = evaluated(tmp_path, "double.csv", "--labels", labels, code=2)
    assert "double.csv, line 4: received ImageId 1 again, first on line 2" in message
    message = evaluated(tmp_path, "other.csv", "--labels", "double.csv", code=2)
    assert "double.csv, line 4: received ImageId 1 again" in message


def test_a_csv_needs_labels_and_a_run_must_not_have_them(folder: Path) -> None:
    message = evaluated(folder, "mine.csv", code=2)
    assert "mine.csv is a file: received no --labels to score it against" in message
    assert "evaluate mine.csv --labels input/answers.csv" in message
    (folder / "run").mkdir(exist_ok=True)
    message = evaluated(folder, "run", "--labels", "answers.csv", code=2)
    assert "--labels answers.csv: run is not a file" in message
    assert "nosuch.csv does not exist. Expected a CSV with labels" in evaluated(
        folder, "nosuch.csv", "--labels", "answers.csv", code=2
    )
    for labels, expected in (("nosuch.csv", "does not exist"), ("run", "is a folder")):
        message = evaluated(folder, "mine.csv", "--labels", labels, code=2)
        assert f"--labels {labels} {expected}. Expected a CSV with the true" in message


def test_certain_answers_score_as_themselves() -> None:
    predicted, labels = np.array([1, 2, 0]), np.array([1, 2, 2])
    probabilities = evaluation.one_hot(predicted, 3)
    assert probabilities.argmax(axis=1).tolist() == [1, 2, 0]
    assert evaluation.errors(probabilities, labels) == 1
    with pytest.raises(InputError, match=r"received the label 2\. Expected 0 to 1"):
        evaluation.one_hot(predicted, 2)
