"""Help on a technique from its docstring."""

from __future__ import annotations

import streamlit as st

from app.text.escaping import prose
from workbench.core.registry import ANALYSES
from workbench.experiments.questions.docstrings import description


def show_summary(technique: str) -> None:
    """Show the first paragraph of the docstring."""
    if summary := paragraphs(technique)[0]:
        st.caption(prose(summary))


def show_details(technique: str) -> None:
    """Show the other paragraphs in an expander: method, cost, references."""
    if details := paragraphs(technique)[1:]:
        with st.expander("About this technique", icon=":material/help:"):
            st.markdown("\n\n".join(prose(paragraph) for paragraph in details))


def cost(technique: str) -> str:
    """Return the docstring's statement of cost, or a general one."""
    return next((text for text in paragraphs(technique) if text.startswith("Cost:")), "It may take minutes.")


def paragraphs(technique: str) -> list[str]:
    """Return the paragraphs of a technique's docstring without its argument lists."""
    return description(ANALYSES[technique]).split("\n\n")
