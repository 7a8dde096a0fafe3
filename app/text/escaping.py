"""Markdown escaping for all user-supplied text: prompts, names, notes, errors and choices."""

from __future__ import annotations

import re
from string import punctuation

LIVE = re.compile(r"(?i)(?<=www)(?=\.)|(?<=http:)(?=//)|(?<=https:)(?=//)|(?<=\S)(?=@\S)|(?<=:)(?=streamlit:)")
"""Positions where Streamlit turns plain text into a link or a picture in spite of escapes."""
JOINER = "\u2060"
INDENT = re.compile(r"(?m)^[ \t]+")
HIDDEN = dict.fromkeys(
    [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "�"
)
"""Control characters and those that change the text direction."""
MARKS = str.maketrans({mark: f"\\{mark}" for mark in punctuation})


def escape(text: object) -> str:
    """Return Markdown that shows the text literally, without links, pictures, formulas, colours, HTML or
    structure.
    """
    literal = LIVE.sub(JOINER, str(text).translate(HIDDEN))
    return INDENT.sub(lambda blank: "\u00a0" * len(blank[0]), literal).translate(MARKS)


def code(text: object) -> str:
    """Return a text as one line of Markdown code, including any backticks."""
    line = " ".join(str(text).translate(HIDDEN).split("\n"))
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) else ""
    return f"{fence}{room}{line}{room}{fence}"


def prose(text: str) -> str:
    """Return a docstring's paragraph as Markdown: text between backticks is code, the rest is escaped."""
    parts = text.split("`")
    return "".join(code(part) if i % 2 and part else escape(part) for i, part in enumerate(parts))
