"""Read the Google-style docstrings of analyses: parameter help for flags and forms, and the text above them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from docstring_parser import DocstringStyle, parse_from_object
from docstring_parser.google import DEFAULT_SECTIONS

SECTIONS = tuple(f"{section.title}:" for section in DEFAULT_SECTIONS)
LINE_BREAK = r"\s+(?!\d+\. )"
"""White space inside of a paragraph, or of one step of a numbered list."""


def parameter_help(documented: Callable[..., Any]) -> dict[str, str]:
    """Map each documented parameter of a function, or field of a dataclass, to its description.

    Reads `Args:` and `Attributes:` sections and the docstrings below the fields of a dataclass.
    """
    parsed = parse_from_object(documented, DocstringStyle.GOOGLE)
    return {p.arg_name: " ".join((p.description or "").split()) for p in parsed.params}


def sentence_about(name: str, documented: Callable[..., Any]) -> str:
    """Return the first sentence of a docstring that names `name` in backticks, or ""."""
    text = " ".join((inspect.getdoc(documented) or "").split())
    sentences = re.split(r"(?<=[.;])\s+(?=[A-Z`\"])", text)
    return next((sentence.rstrip(";") for sentence in sentences if f"`{name}`" in sentence), "")


def description(documented: Callable[..., Any]) -> str:
    """Return a docstring without its sections, one line per paragraph or numbered step.

    Sections such as `Args:` and `Example:` start on a line of their own; `Cost:` and `References:` are paragraphs
    and are kept.
    """
    paragraphs = (inspect.getdoc(documented) or "").split("\n\n")
    return "\n\n".join(
        re.sub(LINE_BREAK, " ", p.strip()) for p in paragraphs if p.partition("\n")[0].strip() not in SECTIONS
    )
