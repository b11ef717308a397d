"""What every picture must keep to, whatever it shows."""

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox


def _texts(figure: "Figure") -> "Iterator[Text]":
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()
    for axes in figure.axes:
        yield from (*axes.texts, axes.title, axes._left_title)  # type: ignore[attr-defined]
        for axis in (axes.xaxis, axes.yaxis):
            yield axis.label
            for tick in axis._update_ticks():  # type: ignore[union-attr]
                yield tick.label1


def words(figure: "Figure") -> list[str]:
    """Return every text in the picture."""
    FigureCanvasAgg(figure).draw()
    return [text.get_text() for text in _texts(figure) if text.get_text()]


def require_readable(figure: "Figure") -> None:
    """Fail where a text leaves the picture or touches another."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    frame = figure.bbox
    boxes: list[tuple[str, Bbox]] = [
        (text.get_text(), text.get_window_extent(canvas.get_renderer()))
        for text in _texts(figure)
        if text.get_text().strip() and text.get_visible()
    ]
    assert boxes
    for text, box in boxes:
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1, text
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1, text
    for number, (text, box) in enumerate(boxes):
        for other, other_box in boxes[number + 1 :]:
            assert not box.overlaps(other_box), (text, other)
