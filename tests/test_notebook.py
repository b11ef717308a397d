"""A real kernel runs the notebook of the docs, on tiny data: what its cells do and show."""

from pathlib import Path

import pytest

from tests import kaggle_server, product
from tests.helpers import ROWS

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

NOTEBOOK = Path(__file__).parent.parent / "docs" / "digit-recognizer.ipynb"
SETTINGS = """
INPUT = {input!r}
RECIPE = "dense"
FOLDS = 2
EPOCHS = 2
SUBMIT = True
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory, data):
    """Return the executed cells by id, the folder that they ran in, and Kaggle's server."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    cells = {cell.id: cell for cell in notebook.cells}
    assert cells["settings"].metadata.tags == ["parameters"]
    cells["settings"].source = SETTINGS.format(input=str(data))
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources=resources
    )
    with kaggle_server.running() as server:
        client.execute(env=product.environment(**server.environment()))
    return cells, folder, server


def shown(cell):
    """Return the HTML that a cell shows, and what it printed."""
    html = [out["data"].get("text/html", "") for out in cell.outputs if "data" in out]
    printed = [out["text"] for out in cell.outputs if out["output_type"] == "stream"]
    return "".join(html), "".join(printed)


def pictures(cell):
    return [out for out in cell.outputs if "image/png" in out.get("data", {})]


def test_images_are_loaded_and_shown(ran):
    cells, _, _ = ran
    assert shown(cells["load"])[1] == "(60, 28, 28, 1) uint8 (28000, 28, 28, 1)\n"
    assert len(pictures(cells["look"])) == 1
    assert shown(cells["look"])[1] == "images per digit: [6, 6, 6, 6, 6, 6, 6, 6, 6, 6]\n"
    assert len(pictures(cells["errors"])) == 1


@pytest.mark.parametrize("name", ["cv", "own"])
def test_training_shows_bars_and_scores_and_prints_nothing(ran, name):
    html, printed = shown(ran[0][name])
    assert printed == ""
    assert html.count("<progress max=") == 2
    assert "Note: few images, 30 for each model: batch size 16 instead of" in html
    assert html.count("finished, accuracy 0.") == 2
    assert "out-of-fold accuracy" in html
    assert "errors in 60 images" in html
    assert "<svg" in html


def test_blends_and_comparisons_show_tables(ran):
    cells, _, _ = ran
    assert "out-of-fold accuracy" in shown(cells["blend"])[0]
    assert "blend.csv" in shown(cells["compare"])[0]


def test_the_blend_is_submitted(ran):
    cells, folder, server = ran
    assert shown(cells["submit"])[1] == "public score 0.99 rank 3\n"
    csv = folder / "submissions" / "blend.csv"
    assert server.uploaded == [csv.read_bytes()]
    assert len(csv.read_text().splitlines()) == ROWS + 1
