"""Conversion of settings and parameters to text for command lines, forms and links, and back.

Numbers are written as digits, true and false as such, none as `none`, and a tuple as its entries between commas. What
would be read as something else is written as JSON: a tuple of texts with commas in them as `["a,b", "c"]`, the text
"none" where none is possible as `"none"`.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from workbench.core.errors import ConfigError, InputError, UnknownNameError, short
from workbench.core.ranges import check_value, fits, items, members, without_range
from workbench.core.reading import integer, read_json
from workbench.experiments.questions.budget import require

TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def from_text(annotation: Any, text: str) -> Any:
    """Read the JSON value that `text` spells for a type.

    Entries of a tuple are separated by commas; `3:6` among whole numbers is 3,4,5. What does not fit stays text, for
    `core.ranges.checked` to refuse with the name of the setting.
    """
    annotation = without_range(annotation)
    kinds = sorted(members(annotation), key=lambda m: (m is not types.NoneType, m is str))
    if len(kinds) > 1:
        return from_text_of_several(kinds, text)
    word = text.strip()
    if annotation is types.NoneType:
        return None if word.lower() in ("", "none") else text
    if annotation is bool:
        return TRUTH.get(word.lower(), text)
    if annotation in (int, float):
        number = integer(word) if annotation is int else decimal(word)
        return text if number is None else number
    if get_origin(annotation) is Literal:
        return next((choice for choice in get_args(annotation) if str(choice) == word), text)
    return entries(annotation, word) if get_origin(annotation) is tuple else text


def decimal(word: str) -> float | None:
    """Read a number with decimals and an exponent; None if it is none."""
    return float(word) if DECIMAL.fullmatch(word) else None


def from_text_of_several(kinds: list[Any], text: str) -> Any:
    """Read a text as the first of several types that takes it; a text in quotes is none but itself."""
    if str in kinds and isinstance(quoted := from_json(text), str):
        return quoted
    values = [(kind, from_text(kind, text)) for kind in kinds]
    return next((value for kind, value in values if fits(without_range(kind), value)), text)


def entries(annotation: Any, word: str) -> list[Any]:
    """Read the entries of a tuple from `a,b,c`, `(a,b,c)` or a JSON list."""
    if isinstance(listed := from_json(word), list):
        return listed
    if word[:1] + word[-1:] in ("()", "[]"):
        word = word[1:-1].strip()
    if not word:
        return []
    pieces = [piece.strip() for piece in word.removesuffix(",").split(",")]
    kinds = items(annotation) or (str,)
    if tuple(map(without_range, kinds)) == (int,):
        spans = [span(piece) for piece in pieces]
        require("units", sum(map(len, spans)), short(word))
        return [value for numbers in spans for value in numbers]
    return [from_text(kinds[min(i, len(kinds) - 1)], piece) for i, piece in enumerate(pieces)]


def span(piece: str) -> Sequence[Any]:
    """Read the whole numbers of `3` or `3:6`."""
    start, colon, stop = (part.strip() for part in piece.partition(":"))
    low, high = integer(start), integer(stop)
    if not colon or low is None or high is None or not 0 <= low < high:
        return [from_text(int, piece)]
    return range(low, high)


def from_json(text: str) -> Any:
    """Return the JSON list or string in a text, or None."""
    if not text.startswith(("[", '"')):
        return None
    try:
        return read_json(text, "")
    except ConfigError:
        return None


def in_text(annotation: Any, value: Any) -> str:
    """Write a value of a type as text that `from_text` reads as the same value."""
    text = plain(value)
    if not fits(annotation, value) or reads_as(annotation, text, check_value(annotation, value, "")):
        return text
    return json.dumps(value, ensure_ascii=False)


def reads_as(annotation: Any, text: str, value: Any) -> bool:
    """Test that a text is read as a value of the same type."""
    try:
        found = check_value(annotation, from_text(annotation, text), "")
    except (ConfigError, InputError, UnknownNameError):
        return False
    return found == value and type(found) is type(value)


def plain(value: Any) -> str:
    """Write a value without quotes."""
    if isinstance(value, list | tuple):
        return ",".join(map(plain, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
