"""Progress callbacks of long computations, which can also cancel them."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Callback with (done, total) after each unit of work. It cancels the work by raising `Cancelled`."""


def silent(done: int, total: int) -> None:
    """Ignore progress."""
