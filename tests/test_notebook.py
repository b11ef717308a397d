"""A real kernel runs a notebook: what its cells show."""

import pytest

from kaggle_digits import datasets

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

CELLS = (
    "import kaggle_digits as kd\ndata = kd.load('input')",
    "run = kd.cross_validate('dense', data, folds=2, epochs=2)",
    "run",
    "kd.ensemble([run])",
    "kd.compare([run, run.write_submission('mine.csv')])",
)


def shown(cell):
    """Return the HTML that a cell shows, and what it printed."""
    html = [out["data"].get("text/html", "") for out in cell.outputs if "data" in out]
    printed = [out["text"] for out in cell.outputs if out["output_type"] == "stream"]
    return "".join(html), "".join(printed)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    datasets.get("sample", folder=folder / "input", from_path=None, download=None, force=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return [shown(cell) for cell in notebook.cells]


def test_training_shows_bars_and_prints_nothing(cells):
    html, printed = cells[1]
    assert html.count("<progress max=") == 2
    assert html.count("finished, accuracy 0.") == 2
    assert printed == ""


def test_a_run_shows_its_scores_and_curves(cells):
    html, _ = cells[2]
    assert "out-of-fold accuracy" in html
    assert "errors in 1,442 images" in html
    assert "<svg" in html


def test_blends_and_comparisons_show_tables(cells):
    assert "out-of-fold accuracy" in cells[3][0]
    assert "mine.csv" in cells[4][0]
