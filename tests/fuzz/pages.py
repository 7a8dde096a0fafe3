"""Open a page by a link without a browser, and raise the errors that a user would see."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.app import pages

INTERNAL = "This page failed with"
"""How a page begins to tell of an error of its own, as opposed to a mistake in the link."""


class PageFailedError(Exception):
    """A page that shows an error of the workbench itself."""


def open_page(view: str, choices: dict[str, str]) -> AppTest:
    """Run a page as a link opens it."""
    page = pages.open_page(view, choices, timeout=30)
    if page.exception:
        raise PageFailedError(page.exception[0].value)
    for box in page.error:
        if box.value.startswith(INTERNAL) or len(box.value) > 4_000:
            raise PageFailedError(box.value)
    return page
