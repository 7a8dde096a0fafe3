"""Reading of choices from the text of a link; each error carries the nearest value that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, NoReturn

from workbench.core.errors import InputError, UnknownNameError, WorkbenchError


def refuse(error: WorkbenchError, nearest: Any) -> NoReturn:
    """Raise an error that carries the nearest value that can be used."""
    error.nearest = nearest  # type: ignore[attr-defined]
    raise error


def one_of(text: str, options: Sequence[str], default: str, free: bool, kind: str) -> str:
    """Return the text if it is one of the options or `free` is set."""
    if text in options or (free and text):
        return text
    refuse(UnknownNameError(kind, text, options, where=", which the link asks for"), default)


def parse_whole(text: str, low: int, high: int, default: int, label: str) -> int:
    """Parse a whole number from `low` to `high`."""
    try:
        value = float(text) if len(text) <= 40 else float("nan")
    except ValueError:
        value = float("nan")
    if value.is_integer() and low <= value <= high:
        return int(value)
    nearest = default if isnan(value) else low if value < low else high if value > high else round(value)
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    refuse(
        InputError(f"There is no {label.lower()} {shown}: choose one from {low} to {high}. Using {nearest}."), nearest
    )


def parse_bool(text: str, key: str, default: bool) -> bool:
    """Parse "true" or "false"."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    refuse(InputError(f"{key!r} is true or false and not {text[:40]!r}, which the link asks for."), default)
