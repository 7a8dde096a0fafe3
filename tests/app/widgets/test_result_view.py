"""Tests of the layout of a result's figure."""

from __future__ import annotations

from app.widgets.result_view import TITLE, break_title
from workbench.figures.theme import make_figure


def test_a_long_title_is_broken_into_lines_that_keep_its_words() -> None:
    title = "Contribution of each entry of the observation to the metric"
    picture = make_figure(title)
    break_title(picture)
    lines = picture.layout.title.text.split("<br>")
    assert " ".join(lines) == title and len(lines) == 2
    assert max(map(len, lines)) <= TITLE and picture.layout.margin.t > make_figure("").layout.template.layout.margin.t


def test_a_short_title_and_none_are_left_as_they_are() -> None:
    for title in ("Training", ""):
        picture = make_figure(title)
        break_title(picture)
        assert (picture.layout.title.text or "") == title and picture.layout.margin.t is None
