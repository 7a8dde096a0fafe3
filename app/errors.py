"""Errors as a page shows them: cause and fix, never a traceback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from workbench.core.errors import Cancelled, WorkbenchError

LOG = logging.getLogger(__name__)


@contextmanager
def explained() -> Iterator[None]:
    """Shows what went wrong inside the block instead of raising it."""
    try:
        yield
    except Exception as error:
        show(error)


def show(error: BaseException) -> None:
    """One box: a user's mistake in its own words, a mistake of ours by its kind and where to look."""
    if isinstance(error, Cancelled):
        st.info(escaped(str(error)), icon=":material/cancel:")
    elif isinstance(error, WorkbenchError):
        st.error(escaped(str(error)), icon=":material/error:")
    else:
        LOG.error("A page failed", exc_info=error)
        st.error(
            f"This page failed with {type(error).__name__}: {escaped(str(error))} "
            "Reload the page; if it fails again, the server's log has the details.",
            icon=":material/error:",
        )


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-!|<>$~:" else c for c in text)
