"""The page in a real browser: drawn on with pointer events, given photos and broken files."""

import base64
import contextlib
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits import datasets
from kaggle_digits.app import Address, Answerer, open_run, server
from kaggle_digits.errors import InputError
from tests import drawn, product
from tests.browser import Watched, find_serious_faults, start_browser

ROOT = Path(__file__).parents[2]
ENOUGH = 10_000  # training images
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
ANSWER = "#page .answer"


@contextlib.contextmanager
def serving(answerer, examples):
    """Yield the URL of the page, served by a thread."""
    uvicorn = pytest.importorskip("uvicorn", reason="Gradio is not installed")
    pytest.importorskip("gradio", reason="Gradio is not installed")
    application = server.build_application(answerer, examples, ("127.0.0.1",), is_local=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(application, log_level="error", timeout_graceful_shutdown=1)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            running.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def url(reader):
    ink = np.round(255 * drawn.written(6, size=20, pen=2.5)).astype(np.uint8)
    example = np.zeros((28, 28, 1), np.uint8)
    example[4 : 4 + ink.shape[0], 7 : 7 + ink.shape[1], 0] = ink
    with serving(Answerer(reader), [(17, example)]) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with start_browser() as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser, url):
    """Return the page; nothing may have left 127.0.0.1 or been complained of at the end."""
    watched = Watched(browser, viewport=WIDE)
    open_page(watched.page, url)
    yield watched
    assert watched.complaints == []
    assert [each for each in watched.requests if not each.startswith((url, "data:"))] == []
    watched.page.context.close()


@pytest.fixture
def page(opened):
    clear = opened.page.get_by_role("button", name="Clear")
    if clear.is_enabled():
        clear.click()
    expect(opened.page, "Draw a digit.")
    return opened.page


def open_page(page, url):
    page.goto(url)
    page.locator("#page canvas[data-ready]").wait_for()


def expect(page, text):
    page.locator(ANSWER).get_by_text(text).first.wait_for(timeout=15_000)


def expect_number(page, number):
    page.locator(f"{ANSWER} .numbers").get_by_text(number, exact=True).wait_for(timeout=15_000)


def draw(page, digit, x=0.5, share=0.7):
    """Draw a digit with the pointer; ``x`` is the place of its middle on the paper."""
    paper = page.locator("#page canvas").bounding_box()
    size = paper["height"] * share
    left, top = paper["x"] + x * paper["width"], paper["y"] + paper["height"] / 2
    for stroke in drawn.STROKES[digit]:
        few = stroke if len(stroke) < 9 else [*stroke[::4], stroke[-1]]
        points = [(left + (a - 0.5) * size * 0.7, top + (b - 0.5) * size) for a, b in few]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def wait_for_rest(page):
    """Wait until the last change was answered."""
    page.locator("#page canvas[data-state=answered]").wait_for(timeout=15_000)


def drop(page, name, content):
    page.evaluate(
        """([name, data]) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name));
          const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
          document.querySelector("#page canvas").dispatchEvent(event);
        }""",
        [name, base64.b64encode(content).decode()],
    )


def read_ten_digits(page):
    """Draw each digit; return what the page reads."""
    read = []
    for digit in range(10):
        draw(page, digit)
        wait_for_rest(page)
        read.append(page.locator(f"{ANSWER} .numbers").inner_text())
        page.get_by_role("button", name="Clear").click()
        expect(page, "Draw a digit.")
    return read


def test_ten_drawn_digits_are_read(page):
    read = read_ten_digits(page)
    assert sum(text == str(digit) for digit, text in enumerate(read)) >= 9, read


@pytest.mark.slow
def test_ten_drawn_digits_are_read_by_a_trained_network(browser, tmp_path):
    """It learns from the digits of people, and knows none of these strokes.

    The embedded sample's 1,442 coarse digits do not suffice.
    """
    folder = Path(os.environ.get("KAGGLE_DIGITS_INPUT", ROOT / "input")).absolute()
    try:
        size = len(datasets.load(folder).train)
    except InputError as error:
        pytest.skip(f"needs the competition's data in input/ or KAGGLE_DIGITS_INPUT: {error}")
    if size < ENOUGH:
        pytest.skip(f"needs {ENOUGH:,} training images; {folder} has {size:,}")
    product.run("train", "--recipe", "fast", "--input", folder, "--run", "run", cwd=tmp_path)
    with serving(Answerer(open_run(tmp_path / "run")), []) as address:
        page = browser.new_page(viewport=WIDE)
        open_page(page, address)
        read = read_ten_digits(page)
    assert sum(text == str(digit) for digit, text in enumerate(read)) >= 9, read


def test_digits_in_a_row_are_a_number_and_undo_takes_the_last_stroke(page):
    draw(page, 1, x=0.25)
    draw(page, 7, x=0.7)
    expect_number(page, "17")
    assert page.locator(f"{ANSWER} img").count() == 2
    assert page.locator(f"{ANSWER} table").first.locator("tbody tr").count() == 10
    assert "Votes: 2 for 1" in page.locator(ANSWER).inner_text()
    page.get_by_role("button", name="Undo").click()
    expect_number(page, "1")
    page.keyboard.press("Control+z")
    expect(page, "Draw a digit.")
    assert page.get_by_role("button", name="Undo").is_disabled()


def test_a_dropped_photo_is_read(page, tmp_path):
    ink = drawn.page([drawn.written(digit, pen=10) for digit in (4, 2)])
    photo = drawn.saved(tmp_path / "photo.jpg", drawn.photo(ink, "slope"))
    drop(page, "photo.jpg", photo.read_bytes())
    expect_number(page, "42")


def test_a_broken_file_is_explained(page, tmp_path):
    photo = drawn.saved(tmp_path / "photo.png", drawn.photo(drawn.written(3)))
    drop(page, "broken <img src=x onerror=window.hacked=2>.png", photo.read_bytes()[:200])
    expect(page, "is damaged or truncated")
    assert page.evaluate("window.hacked") is None
    shown = page.locator(ANSWER).inner_text()
    assert str(tmp_path) not in shown
    # A drawing replaces it.
    draw(page, 7)
    expect_number(page, "7")


def test_an_example_is_put_on_the_paper(page):
    page.get_by_role("button", name="Test image 17").click()
    expect_number(page, "6")


def test_the_name_of_the_run_stays_text(page):
    assert page.evaluate("window.hacked") is None
    assert "a <b>run</b>" in page.locator("#page").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_of_accessibility(browser, url, scheme):
    watched = Watched(browser, viewport=WIDE, color_scheme=scheme, bypass_csp=True)
    open_page(watched.page, url)
    draw(watched.page, 7)
    expect_number(watched.page, "7")
    assert find_serious_faults(watched.page) == []
    watched.page.context.close()


def test_a_finger_draws_on_a_phone(browser, url):
    watched = Watched(browser, viewport=PHONE, has_touch=True)
    open_page(watched.page, url)
    assert watched.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    draw(watched.page, 7)
    expect_number(watched.page, "7")
    watched.page.context.close()


def test_another_name_for_this_machine_is_refused(url):
    import http.client

    host = url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", "/", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 400
    assert Address().host == "127.0.0.1"
