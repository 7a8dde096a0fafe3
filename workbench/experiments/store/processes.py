"""Which process a run belongs to, and whether that process is still there."""

from __future__ import annotations

import os
from typing import NamedTuple

SAME = 0.1
"""Seconds within which two starts of one process number are the same start."""


class Process(NamedTuple):
    """A process by its number and by when it was started: numbers are given again, starts are not.

    `born` is in seconds, since the system's start on Linux, where the clock of 1970 is set now and then.
    """

    pid: int
    born: float

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs; a number that another process has by now does not count."""
        born = start_of(self.pid)
        return born is not None and abs(born - self.born) < SAME


def this_process() -> Process:
    """The process that calls."""
    born = start_of(os.getpid())
    assert born is not None, "whoever asks is running"
    return Process(os.getpid(), born)


def start_of(pid: int) -> float | None:
    """When the process with that number was started; None when none runs, or it has ended and waits to be noticed."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return round(process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0), 2)
    except psutil.NoSuchProcess:
        return None
