"""Forms for user inputs: fields, and the input text made from their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TextField:
    """A text of at most `longest` characters; `lines` above 1 give it an area."""

    name: str
    label: str
    longest: int
    lines: int = 1
    help: str = ""
    placeholder: str = ""


@dataclass(frozen=True)
class NumberField:
    """A whole number from `low` to `high`."""

    name: str
    label: str
    low: int
    high: int
    usual: int


@dataclass(frozen=True)
class PictureField:
    """A picture of some channels, height and width, drawn or uploaded."""

    shape: tuple[int, int, int]


@dataclass(frozen=True)
class FileField:
    """An upload of a file whose name has one of the endings; `source` reads it."""

    label: str
    endings: tuple[str, ...]
    source: str


Field = TextField | NumberField | PictureField | FileField


@dataclass(frozen=True)
class Form:
    """Fields and a button; values of earlier forms on the same panel count too.

    Attributes:
        button: Label of the button.
        fields: Fields in order.
        compose: Makes the input text of the values by field name; "" while they are incomplete.
    """

    button: str
    fields: tuple[Field, ...]
    compose: Callable[[Mapping[str, Any]], str] = lambda values: ""
