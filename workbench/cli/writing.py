"""Output of commands: lines and tables for people, JSON for machines, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.core.progress import Progress

WIDEST = 60
"""Largest number of characters of a cell."""


def write(text: str) -> None:
    """Write a line on stdout."""
    sys.stdout.write(f"{text}\n")


def write_json(value: Any) -> None:
    """Write JSON on stdout."""
    write(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False, default=str))


def write_table(rows: Sequence[Mapping[Any, Any]]) -> None:
    """Write columns under their names, numbers to three significant digits; nothing without rows."""
    if not rows:
        return
    cells = [list(rows[0]), *([cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def cell(value: Any) -> str:
    """Write a value in at most `WIDEST` characters; None is empty."""
    if value is None:
        return ""
    if isinstance(value, float):
        text = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = " ".join(str(value).split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


@contextmanager
def bar(title: str, quiet: bool = False) -> Iterator[Progress]:
    """Show progress as a bar with the time left, on stderr if that is a terminal."""
    from tqdm import tqdm

    with tqdm(desc=title, disable=True if quiet else None, leave=False) as shown:

        def report(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield report
