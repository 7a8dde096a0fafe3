"""Errors shown on pages: cause and fix instead of a traceback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.text.escaping import escape
from workbench.core.errors import Cancelled, WorkbenchError

LOG = logging.getLogger(__name__)


@contextmanager
def explain() -> Iterator[None]:
    """Show errors instead of raising them."""
    try:
        yield
    except Exception as error:
        show(error)


def show(error: BaseException) -> None:
    """Show an error: a user's mistake by its message, an internal one by its type and the log to read."""
    if isinstance(error, Cancelled):
        st.info(escape(error), icon=":material/cancel:")
    elif isinstance(error, WorkbenchError):
        st.error(escape(error), icon=":material/error:")
    else:
        LOG.error("A page failed", exc_info=error)
        st.error(
            f"This page failed with {escape(type(error).__name__)}: {escape(error)} "
            "Reload the page; if it fails again, the server's log has the details.",
            icon=":material/error:",
        )
