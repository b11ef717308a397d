"""The page about finished runs and its JSON twin, without a browser."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kaggle_digits import datasets, safe_reading
from kaggle_digits.report import curves, sheet, write_report
from kaggle_digits.runs import Run
from kaggle_digits.training.history import Epoch
from tests import product
from tests.report.conftest import HOSTILE, HOSTILE_CLASS, HOSTILE_COMMAND
from tests.report.made_runs import make_data, make_run


class Tags(HTMLParser):
    """Collects tags, ids and what scripts hold."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(str(value))
            if name in {"src", "href"}:
                self.addresses.append(str(value))
            if name.startswith("on"):
                self.handlers.append(name)


def parse(page: Path) -> Tags:
    tags = Tags()
    tags.feed(page.read_text(encoding="utf-8"))
    return tags


def read_twin(page: Path) -> Any:
    return json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))


def test_the_page_needs_nothing_but_itself(page):
    tags = parse(page)
    assert not {"link", "iframe", "object", "embed"} & set(tags.tags)
    assert all(address.startswith("#") for address in tags.addresses)
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"https?://|//[a-z]+\.", text)
    assert "default-src 'none'" in text


def test_ids_are_unique_and_links_lead_somewhere(page):
    tags = parse(page)
    assert len(tags.ids) == len(set(tags.ids)) > 8
    assert {address[1:] for address in tags.addresses} <= set(tags.ids)


def test_values_from_runs_stay_text(page):
    tags = parse(page)
    assert tags.tags.count("script") == 2
    assert not tags.handlers
    assert "img" not in tags.tags
    assert "b" not in tags.tags  # the message of a submission
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert HOSTILE_CLASS not in text
    assert "window.hacked=3&lt;/script&gt; {{ 7 * 7 }}" in text
    found = read_twin(page)["runs"][2]
    assert found["run"] == f"runs/{HOSTILE}"
    assert found["command"] == HOSTILE_COMMAND
    assert found["class_names"][9] == HOSTILE_CLASS


def test_the_same_runs_give_the_same_bytes(page, made, monkeypatch, tmp_path):
    monkeypatch.chdir(made)
    runs = [Run(Path("runs") / name) for name in ("first", "second")]
    written = [
        write_report(tmp_path / f"{n}.html", runs, data=Path("input"), title="Runs") for n in (1, 2)
    ]
    assert written[0].html.read_bytes() == written[1].html.read_bytes()
    assert written[0].json.read_bytes() == written[1].json.read_bytes()
    assert written[0].bytes == written[0].html.stat().st_size
    assert page.read_bytes() != written[0].html.read_bytes()


def test_the_twin_has_every_figure(page, made):
    report = read_twin(page)
    first = report["runs"][0]
    assert first["run"] == "runs/first"
    assert first["held_out"]["scores"]["errors"] == 8
    assert first["held_out"]["scores"]["accuracy"] == pytest.approx(52 / 60)
    assert first["class_counts"] == [6] * 10
    assert first["public_score"] == 0.9
    assert first["gap"] == pytest.approx(0.9 - 52 / 60)
    assert first["test_images_in_train"] == 0
    assert [len(history) for history in first["histories"]] == [3, 3]
    cells = first["held_out"]["cells"]
    assert sum(cell["count"] for cell in cells) == 60
    assert sum(cell["count"] for cell in cells if cell["label"] != cell["predicted"]) == 8
    assert [entry["status"] for entry in report["ledger"]] == ["COMPLETE", "PENDING"]
    assert report["ledger"][0]["errors"] == 2800
    oof = np.load(made / "runs" / "first" / "oof.npz")
    for one in first["held_out"]["worst"][:8]:
        row = oof["ids"].tolist().index(one["id"])
        assert oof["labels"][row] == one["label"] != one["predicted"]
        assert report["answers"][0][str(one["id"])][0]["predicted"] == one["predicted"]


def test_an_ensemble_names_what_each_member_mends(page, made):
    (ensemble,) = read_twin(page)["ensembles"]
    assert [member["run"] for member in ensemble["members"]] == ["runs/first", "runs/second"]
    weights = np.array([member["weight"] for member in ensemble["members"]])
    assert weights.sum() == pytest.approx(1)
    arrays = [np.load(made / "runs" / name / "oof.npz") for name in ("first", "second")]
    labels, ids = arrays[0]["labels"], arrays[0]["ids"]
    mean = np.tensordot(weights, np.stack([one["probabilities"] for one in arrays]), axes=1)
    right = mean.argmax(axis=1) == labels
    for member, own, other in zip(ensemble["members"], arrays, arrays[::-1], strict=True):
        alone, without = (one["probabilities"].argmax(axis=1) == labels for one in (own, other))
        assert member["mended"] == (right & ~alone).sum()
        assert member["needed"] == ids[right & ~without].tolist()
        assert member["harmful"] == ids[~right & without].tolist()


def test_disputed_images_have_every_answer(page, made):
    held_out, test = read_twin(page)["disputes"][:2]
    assert (held_out["split"], test["split"]) == ("train", "test")
    arrays = [np.load(made / "runs" / name / "test.npz") for name in ("first", "second")]
    answers = np.stack([one["probabilities"].argmax(axis=1) for one in arrays])
    differ = answers[0] != answers[1]
    assert test["count"] == differ.sum() > 0
    assert test["differing"] == [[0, int(differ.sum())], [int(differ.sum()), 0]]
    ids = arrays[0]["ids"].tolist()
    for one in test["shown"]:
        assert one["answers"] == answers[:, ids.index(one["id"])].tolist()
    for one in held_out["shown"]:
        assert len(set(one["answers"])) == 2
        assert len(one["probabilities"]) == 2


def count_pictures(page: Path) -> int:
    text = page.read_text(encoding="utf-8")
    return text[text.index('id="disputed"') : text.index('id="run-')].count('class="picture"')


def test_test_images_are_shown_only_from_the_test_images_of_the_runs(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    runs = [Run(Path("runs") / name) for name in ("first", "second")]
    other = Path(shutil.copytree("input", tmp_path / "other"))
    header, *rows = (other / "test.csv").read_text().splitlines()
    (other / "test.csv").write_text("\n".join([header, *rows[::-1]]) + "\n")
    pages = [
        write_report(tmp_path / f"{data.name}.html", runs, data=data, title="Runs")
        for data in (Path("input"), other)
    ]
    held_out, test = read_twin(pages[0].html)["disputes"]
    assert count_pictures(pages[0].html) == len(held_out["shown"]) + len(test["shown"])
    assert pages[0].left_out == ()
    assert count_pictures(pages[1].html) == len(held_out["shown"])
    [reason] = pages[1].left_out
    assert reason.startswith("The test images on which runs/first, runs/second differ are not sho")
    assert "runs/first was made with other test images" in reason


def test_files_without_a_run_are_shown_with_images_of_their_ids(made, tmp_path):
    named = [("a", made / "runs/first/submission.csv"), ("b", made / "runs/second/submission.csv")]
    more = make_data(tmp_path / "more", test=21)
    pages = [
        write_report(tmp_path / f"{data.name}.html", [], data=data, title="Files", compared=named)
        for data in (made / "input", more)
    ]
    assert [read_twin(page.html)["disputes"][0]["has_images"] for page in pages] == [True, False]
    assert "a: 20 rows; expected 21 (the test images). Missing ImageId 21." in pages[1].left_out[0]


def test_disputes_have_the_class_names_of_their_runs(made, tmp_path):
    names = [*"abcdefghij"]
    runs = [Run(made / "runs" / name) for name in ("first", "second")] + [
        make_run(tmp_path / f"run-{seed}", made / "input", seed, class_names=names)
        for seed in (3, 4)
    ]
    written = write_report(tmp_path / "a.html", runs, data=made / "input", title="Runs")
    found = [tuple(one["class_names"]) for one in read_twin(written.html)["disputes"]]
    assert found == [tuple("0123456789")] * 2 + [tuple(names)] * 2
    lettered = written.html.read_text().split("</h3>")[4]
    assert re.findall(r"\[1\] (.)", lettered)[0] in names


def test_images_on_the_page_are_those_of_the_data(made):
    data = datasets.load(made / "input")
    ids = data.train.ids[[5, 3, 40]]
    found = sheet.draw_sheet([("train", int(one)) for one in ids], {"train": data.train})
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.png.partition(",")[2]))))
    for (_, image_id), place in found.places.items():
        left = 28 * (place % sheet.COLUMNS)
        shown = 255 - pixels[:28, left : left + 28]
        image = data.train.images[data.train.ids.tolist().index(image_id)]
        assert np.array_equal(shown, image[..., 0])


def test_a_sheet_leaves_out_the_least_important_images(made, monkeypatch):
    data = datasets.load(made / "input")
    wanted = [("train", int(one)) for one in data.train.ids]
    monkeypatch.setattr(sheet, "MAX_BYTES", 8_000)
    found = sheet.draw_sheet([*wanted, ("test", 1)], {"train": data.train})
    assert 0 < len(found.places) < 60
    assert list(found.places) == wanted[: len(found.places)]
    assert len(base64.b64decode(found.png.partition(",")[2])) <= 8_000
    monkeypatch.setattr(sheet, "MAX_BYTES", 10)
    assert sheet.draw_sheet(wanted, {"train": data.train}) == sheet.Sheet({}, 0, "")


def test_five_runs_of_thousands_of_errors_stay_below_three_megabytes(tmp_path):
    data = make_data(tmp_path / "input", train=4000, test=500)
    runs = [make_run(tmp_path / f"run-{n}", data, n, errors=1500) for n in range(5)]
    written = write_report(tmp_path / "r.html", runs, data=data, title="Runs")
    assert 1_000_000 < written.bytes <= 3_000_000


def test_without_the_data_the_page_has_no_images_and_says_so(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    runs = [Run(Path("runs/first"))]
    written = write_report(tmp_path / "a.html", runs, data=tmp_path / "nosuch", title="Runs")
    assert "No images are shown" in written.left_out[0]
    assert "data:image" not in written.html.read_text()
    other = make_data(tmp_path / "other", train=50)
    written = write_report(tmp_path / "b.html", runs, data=other, title="Runs")
    assert "was made with other train images" in written.left_out[0]
    assert read_twin(written.html)["runs"][0]["class_counts"] is None


def test_what_is_missing_is_named(made, tmp_path):
    run = Path(shutil.copytree(made / "runs" / "first", tmp_path / "run"))
    (run / "oof.npz").unlink()
    (run / "fold-1" / "history.csv").write_text("damaged")
    written = write_report(tmp_path / "a.html", [Run(run)], data=made / "input", title="Runs")
    text = " ".join(written.left_out)
    assert "Its out-of-fold scores are not shown: oof.npz is missing" in text
    assert "No learning curves" in text
    assert "<svg" not in written.html.read_text()


# --------------------------------------------------------------------------------------- curves


def epochs(*losses: float) -> list[Epoch]:
    return [Epoch(n, loss, 1.0, float("nan"), float("nan"), 0.1, 1.0, 1.0)
            for n, loss in enumerate(losses, start=1)]  # fmt: skip


def test_curves_fall_where_the_loss_falls():
    loss, wrong = curves.draw_curves([epochs(1.0, 0.1, 0.01)])
    assert {line.kind for line in loss.lines} == {"trained thin", "trained thick"}
    (x1, y1), (x2, y2), (x3, y3) = (
        map(float, point.split(",")) for point in loss.lines[0].points.split()
    )
    assert x2 - x1 == pytest.approx(x3 - x2)
    assert y2 - y1 == pytest.approx(y3 - y2, abs=0.2)  # a logarithmic axis
    assert y1 < y3
    assert "0.0100 on training images." in loss.summary
    assert all(0 <= y <= curves.HEIGHT for y, _ in wrong.y_ticks)  # an error rate of 0 throughout


def test_one_epoch_is_a_point():
    panel = curves.draw_curves([epochs(0.5)])[0]
    assert len(panel.lines[0].points.split()) == 2
    assert [text for _, text in panel.x_ticks] == ["1"]


# -------------------------------------------------------------------------------------- command


def test_the_command_takes_all_finished_runs(made, tmp_path):
    here = Path(shutil.copytree(made, tmp_path / "here"))
    unfinished = json.loads((here / "runs" / "second" / "run.json").read_text())
    (here / "runs" / "second" / "run.json").write_text(
        json.dumps(unfinished | {"state": "running"})
    )
    done = product.call("report", "-o", "out/r.html", "--json", cwd=here)
    said = json.loads(done.stdout)
    assert (said["html"], said["json"]) == ("out/r.html", "out/r.json")
    assert said["bytes"] == (here / "out/r.html").stat().st_size
    report = read_twin(here / "out" / "r.html")
    assert [run["run"] for run in report["runs"]] == ["runs/first", f"runs/{HOSTILE}"]
    assert report["ledger"] is None
    assert report["runs"][0]["flop"] is None  # no models were saved
    text = product.call("report", "runs/first", "--submissions", cwd=here).stdout
    assert re.search(r"^report    report.html \(0\.\d MB\)$", text, re.MULTILINE)
    assert read_twin(here / "report.html")["ledger"] == []
    (here / "runs" / HOSTILE / "test.npz").unlink()
    done = product.call("report", cwd=here)
    assert done.stderr.endswith("The run is omitted.\n")
    assert [run["run"] for run in read_twin(here / "report.html")["runs"]] == ["runs/first"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-o", "a.pdf"], "received a.pdf for a page. Expected a name that ends in .html."),
        (["nosuch"], "nosuch is not a run"),
        ([], "no finished run in"),
        (["-o", "in/the/way/a.html"], "a parent folder is a file"),
    ],
)
def test_wrong_commands_write_nothing(arguments, expected, tmp_path):
    (tmp_path / "in").write_text("")
    done = product.call("report", *arguments, cwd=tmp_path, code=2)
    assert expected in " ".join(done.stderr.split())
    assert not list(tmp_path.rglob("*.html"))


def test_a_name_that_is_not_utf8_is_kept(made, tmp_path):
    folder = tmp_path / "run-\udcff"
    try:
        shutil.copytree(made / "runs" / "first", folder)
    except OSError:
        pytest.skip("this file system takes no names outside UTF-8")
    write_report(tmp_path / "a.html", [Run(folder)], data=made / "input", title="Runs")
    assert "run-\\udcff" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert safe_reading.read_json(tmp_path / "a.json")["runs"][0]["run"] == str(folder)


def test_evaluate_writes_a_page_about_the_run(made, tmp_path):
    here = Path(shutil.copytree(made, tmp_path / "here"))
    text = product.call("evaluate", "runs/first", "--html", "a.html", cwd=here).stdout
    assert text.startswith("accuracy  0.86667 ± ")
    assert text.endswith("\npage      a.html\n")
    assert [run["run"] for run in read_twin(here / "a.html")["runs"]] == ["runs/first"]
    said = product.call("evaluate", "runs/first", "--html", "a.html", "--json", cwd=here).stdout
    assert json.loads(said)["html"] == "a.html"


def test_compare_writes_a_page_about_files_and_runs(made, tmp_path):
    here = Path(shutil.copytree(made, tmp_path / "here"))
    csv = (here / "runs" / "first" / "submission.csv").read_text().splitlines()
    csv[1] = f"1,{(int(csv[1][-1]) + 1) % 10}"
    (here / "c<b>.csv").write_text("\n".join(csv) + "\n")
    arguments = ("compare", "runs/first", "runs/second", "c<b>.csv", "--html", "a.html")
    text = product.call(*arguments, cwd=here).stdout
    assert "\npage written to a.html\n" in text
    report = read_twin(here / "a.html")
    held_out, test = report["disputes"]
    assert held_out["names"] == ["runs/first", "runs/second"]
    assert test["names"] == ["runs/first", "runs/second", "c<b>.csv"]
    assert test["differing"][0][2] == 1
    assert "c&lt;b&gt;.csv" in (here / "a.html").read_text()
    product.call("compare", *["c<b>.csv"] * 2, "--html", "b.html", "--images", "input", cwd=here)
    assert read_twin(here / "b.html")["runs"] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["evaluate", "runs/first", "--html", "a.txt"], "received a.txt for a page"),
        (["evaluate", "runs/first", "--html", "a.html", "--show", "1"], "a.html and --show 1"),
        (["evaluate", "input/train.csv", "--html", "a.html"], "Give a run's folder instead"),
        (["report", "-o", "mine.html"], "mine.json exists and is not a report's JSON"),
        (["compare", "runs/first", "runs/second", "--html", "a"], "received a for a page"),
    ],
)
def test_wrong_pages_are_refused_before_any_work(made, arguments, expected):
    (made / "mine.json").write_text("[]")
    done = product.call(*arguments, cwd=made, code=2)
    assert expected in " ".join(done.stderr.split())
    assert done.stdout == ""
