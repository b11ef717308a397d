"""Print how long the drawing page takes from the end of a stroke to its answer.

    python -m tests.measure_drawing RUN|MODEL

The time is taken in the browser: from the pointer's last event to the change of the page. Each
digit is drawn three times.
"""

import statistics
import sys
from pathlib import Path

from kaggle_digits import app
from tests.app.test_app_browser import draw, open_page, serving, wait_for_rest
from tests.browser import start_browser

ROUNDS = 3
WATCH = """() => {
  const canvas = document.querySelector("#page canvas");
  window.times = [];
  canvas.addEventListener("pointerup", () => (window.started = performance.now()), true);
  new MutationObserver(() => {
    if (canvas.dataset.state === "answered") window.times.push(performance.now() - window.started);
  }).observe(canvas, { attributes: true, attributeFilter: ["data-state"] });
}"""


def measure(model: Path) -> list[float]:
    """Return the milliseconds of the last stroke of each drawn digit."""
    is_run = (model / "run.json").exists()
    reader = app.open_run(model) if is_run else app.open_exported_model(model)
    times = []
    with serving(app.Answerer(reader), []) as url, start_browser() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        open_page(page, url)
        page.evaluate(WATCH)
        for digit in list(range(10)) * ROUNDS:
            draw(page, digit)
            wait_for_rest(page)
            times.append(page.evaluate("times.at(-1)"))
            page.get_by_role("button", name="Clear").click()
            wait_for_rest(page)
    return times


if __name__ == "__main__":
    found = sorted(measure(Path(sys.argv[1])))
    sys.stdout.write(
        f"median {statistics.median(found):.0f} ms, nine in ten below "
        f"{found[int(0.9 * len(found))]:.0f} ms, fastest {found[0]:.0f} ms, {len(found)} digits\n"
    )
