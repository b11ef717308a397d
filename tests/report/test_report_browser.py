"""The report in a real browser, opened from the disk with the network off."""

import re

import pytest

from tests.browser import Watched, find_serious_faults, start_browser
from tests.report.conftest import HOSTILE, HOSTILE_CLASS

WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    with start_browser() as started:
        yield started


@pytest.fixture
def watched(browser, page):
    """Return the opened report; nothing but its own file may have been asked for at the end."""
    opened = Watched(browser, viewport=WIDE, offline=True)
    opened.page.goto(page.as_uri())
    yield opened
    assert opened.complaints == []
    assert {url for url in opened.requests if not url.startswith("data:")} == {page.as_uri()}
    opened.page.context.close()


def names_of_rows(page):
    return page.locator("#runs-table tbody tr:visible th").all_inner_texts()


def test_values_from_runs_do_nothing(watched):
    assert watched.page.evaluate("window.hacked") is None
    assert names_of_rows(watched.page) == ["runs/first", "runs/second", f"runs/{HOSTILE}"]


def heading(page, text):
    """Return the button in a heading; old Playwrights take the arrow after it for its name."""
    buttons = page.locator("#runs-table th").get_by_role("button")
    return buttons.filter(has_text=re.compile(rf"^{text}$"))


def test_headings_sort_by_mouse_and_keyboard(watched):
    page = watched.page
    accuracy = heading(page, "accuracy")
    accuracy.click()
    best_first = ["runs/second", "runs/first", f"runs/{HOSTILE}"]
    assert names_of_rows(page) == best_first
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    accuracy.focus()
    page.keyboard.press("Enter")
    assert names_of_rows(page) == best_first[::-1]
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    # A run without a score comes last in either order.
    scores = heading(page, "leaderboard")
    for _ in range(2):
        scores.click()
        assert names_of_rows(page)[0] == "runs/first"


def test_rows_are_filtered(watched):
    page = watched.page
    page.get_by_label("Show only rows that contain").fill("SECOND")
    assert names_of_rows(page) == ["runs/second"]
    assert page.locator("#runs-count").inner_text() == "1 of 3 runs shown"
    page.get_by_label("Show only rows that contain").fill("")
    assert len(names_of_rows(page)) == 3


def test_a_cell_shows_the_images_behind_it(watched):
    page = watched.page
    cell = page.locator("table.confusion").first.locator("td:not(.right) button").first
    count = int(cell.inner_text())
    cell.click()
    behind = page.locator("#cell-1")
    assert behind.locator("li").count() == count > 0
    assert cell.get_attribute("aria-pressed") == "true"
    label, predicted = cell.get_attribute("data-cell").split("-")
    assert behind.locator("p").inner_text().startswith(f"Label {label}, predicted {predicted}: ")
    picture = behind.locator(".picture").first
    assert picture.evaluate("one => getComputedStyle(one).backgroundImage").startswith('url("data:')
    cell.click()
    assert behind.locator("li").count() == 0


def test_the_matrix_is_walked_by_arrow_keys(watched):
    page = watched.page
    first = page.locator("table.confusion").first.locator("td.right button")
    first.nth(0).focus()
    keys = ["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft"]
    seen = set()
    for key in keys:
        page.keyboard.press(key)
        seen.add(page.evaluate("document.activeElement.dataset.cell"))
    assert len(seen) > 1
    assert None not in seen
    page.keyboard.press("Enter")
    assert page.locator("#cell-1 li").count() > 0


def test_class_names_stay_text_behind_a_cell(watched):
    page = watched.page
    page.locator("table.confusion").nth(2).locator('button[data-cell="9-9"]').click()
    assert HOSTILE_CLASS in page.locator("#cell-3 p").inner_text()
    assert page.locator("#cell-3 img").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_of_accessibility(browser, page, scheme):
    opened = Watched(browser, viewport=WIDE, color_scheme=scheme, bypass_csp=True)
    opened.page.goto(page.as_uri())
    opened.page.locator("table.confusion td:not(.right) button").first.click()
    assert find_serious_faults(opened.page) == []
    opened.page.context.close()


def test_a_phone_scrolls_only_downwards(browser, page):
    opened = Watched(browser, viewport=PHONE, has_touch=True)
    opened.page.goto(page.as_uri())
    assert opened.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    opened.page.locator("table.confusion td:not(.right) button").first.tap()
    assert opened.page.locator("#cell-1 li").count() > 0
    opened.page.context.close()


def test_it_prints(browser, page):
    opened = Watched(browser, viewport=WIDE)
    opened.page.goto(page.as_uri())
    assert opened.page.pdf().startswith(b"%PDF-")
    opened.page.emulate_media(media="print")
    assert opened.page.locator("nav").is_hidden()
    opened.page.context.close()
