"""Text of a user on a page: every prompt, name, note, error or choice passes through here on its way into Markdown."""

from __future__ import annotations

import re
from string import punctuation

LIVE = re.compile(r"(?i)(?<=www)(?=\.)|(?<=http:)(?=//)|(?<=https:)(?=//)|(?<=\S)(?=@\S)|(?<=:)(?=streamlit:)")
"""Places in which Streamlit makes a link or a picture of plain text, whatever is escaped."""
JOINER = "\u2060"
INDENT = re.compile(r"(?m)^[ \t]+")
HIDDEN = dict.fromkeys(
    [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "�"
)
"""Control characters, and those that turn the direction of what is read after them."""
MARKS = str.maketrans({mark: f"\\{mark}" for mark in punctuation})


def escape(text: object) -> str:
    """Return Markdown that shows a text as it is: no link, picture, formula, colour, HTML or structure comes of it."""
    told = LIVE.sub(JOINER, str(text).translate(HIDDEN))
    return INDENT.sub(lambda blank: "\u00a0" * len(blank[0]), told).translate(MARKS)


def code(text: object) -> str:
    """Return a text as one line of code in Markdown, whatever backticks it holds."""
    line = " ".join(str(text).translate(HIDDEN).split("\n"))
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) else ""
    return f"{fence}{room}{line}{room}{fence}"


def prose(text: str) -> str:
    """Return a docstring's paragraph as Markdown: escaped, save that text between backticks is code."""
    parts = text.split("`")
    return "".join(code(part) if i % 2 and part else escape(part) for i, part in enumerate(parts))
