"""Identity of the processes that own runs."""

from __future__ import annotations

import os
from typing import NamedTuple

SAME = 0.1
"""Seconds within which two start times of one process number are the same start."""


class Process(NamedTuple):
    """A process by its number and its start time: numbers are reused, start times are not.

    `born` is in seconds, since the system's start on Linux, where the clock of 1970 is set now and then.
    """

    pid: int
    born: float

    @property
    def is_alive(self) -> bool:
        """Test that the process still runs; another process with the same number does not count."""
        born = start_of(self.pid)
        return born is not None and abs(born - self.born) < SAME


def this_process() -> Process:
    """Return the calling process."""
    born = start_of(os.getpid())
    assert born is not None, "this process is running"
    return Process(os.getpid(), born)


def start_of(pid: int) -> float | None:
    """Return the start time of the process with that number; None if it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return round(process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0), 2)
    except psutil.NoSuchProcess:
        return None
