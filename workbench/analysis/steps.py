"""Steps of a long computation, with reports between them so that it can be cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from workbench.core.progress import Progress

T = TypeVar("T")


class Steps:
    """Counts finished steps of a known total and reports them.

    Attributes:
        done: Number of finished steps.
        total: Number of all steps.
    """

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def finish(self) -> None:
        """Count one more step and report it."""
        self.done = min(self.done + 1, self.total)
        self.pulse()

    def pulse(self, done: int = 0, total: int = 0) -> None:
        """Report the steps so far, within a longer one. It may stand in for the progress of a part of the work."""
        self.progress(self.done, self.total)

    def count(self, function: Callable[..., T]) -> Callable[..., T]:
        """Return the function with a step counted before each call."""

        def counted(*arguments: object) -> T:
            self.finish()
            return function(*arguments)

        return counted
