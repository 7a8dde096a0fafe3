"""How a long computation says how far it is, and how its caller stops it."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (done, total) after each unit of work; cancels the work by raising `Cancelled`."""


def silent(done: int, total: int) -> None:
    """Progress nobody watches."""
