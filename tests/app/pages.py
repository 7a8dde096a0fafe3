"""Open a page of the dashboard by its link, without a browser."""

from __future__ import annotations

from pathlib import Path

from streamlit import config
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")
config.set_option("server.address", "localhost")  # as the server does by itself


def page_at(view: str, timeout: float = 110) -> AppTest:
    """The page with that name in its address, not run yet.

    `AppTest.switch_page` takes the files of pages, and one file shows all techniques.
    """
    page = AppTest.from_file(MAIN, default_timeout=timeout)
    page._page_hash = calc_hash("" if view == "home" else view)
    return page


def open_page(view: str, choices: dict[str, str], timeout: float = 110) -> AppTest:
    """The page as a link with these choices opens it."""
    page = page_at(view, timeout)
    for name, value in choices.items():
        page.query_params[name] = value
    return page.run()
