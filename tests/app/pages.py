"""Open a page of the dashboard by its link, without a browser, and read what it shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from streamlit import config
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from tests.conftest import DATA_FILES, missing_data
from workbench.checkpoints.card import read_card

Open = Callable[..., AppTest]
MAIN = str(Path(__file__).parents[2] / "app" / "main.py")
config.set_option("server.address", "localhost")  # as the server does by itself
# A server reads what is installed once; `AppTest` would do so for every page, which takes longer than the page.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


def page_at(view: str, timeout: float = 110) -> AppTest:
    """The page with that name in its address, not run yet.

    `AppTest.switch_page` takes the files of pages, and one file shows all techniques.
    """
    page = AppTest.from_file(MAIN, default_timeout=timeout)
    page._page_hash = calc_hash("" if view == "home" else view)
    return page


def from_function(page: Callable[..., None], args: tuple[object, ...] = (), timeout: float = 60) -> AppTest:
    """A page whose script is the body of a function, not run yet."""
    return AppTest.from_function(page, args=args, default_timeout=timeout)


def open_page(view: str, choices: dict[str, str], timeout: float = 110) -> AppTest:
    """The page as a link with these choices opens it."""
    page = page_at(view, timeout)
    for name, value in choices.items():
        page.query_params[name] = value
    return page.run()


def require_data_of(model: str) -> None:
    if (data := read_card(model).data.name) in DATA_FILES and (reason := missing_data(data)):
        pytest.skip(reason)


def clean(page: AppTest) -> AppTest:
    assert not page.exception
    assert [said_by(box) for box in page.error] == []
    return page


def said_by(element: Any) -> str:
    """The text of an element as a reader sees it, without the marks of Markdown that escape it."""
    return element.value.replace("\\", "")


def value(page: AppTest, label: str) -> object:
    return next(box.value for box in (*page.selectbox, *page.number_input) if box.label == label)
