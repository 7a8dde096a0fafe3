"""Lock around the runs of one model that raises an error instead of waiting in a deadlock."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from workbench.core.errors import ThreadError

PATIENCE = 0.2
"""Seconds between two checks of the thread that holds the lock."""
LOOKS = 3
"""Number of consecutive checks in which that thread is blocked, before this counts as a deadlock."""
WAITING_ROOMS = frozenset({"threading", "queue", "concurrent", "selectors", "asyncio", "multiprocessing"})
"""Modules of the standard library whose functions block a thread until another one acts."""

_waiting_for: dict[int, RunLock] = {}


class RunLock:
    """Reentrant lock for the threads that run or edit one model.

    A thread waits as long as the holder of the lock works. If the holder is itself blocked (by a future, a thread to
    join, a queue or this lock), neither can continue, and the waiting thread raises `ThreadError`.
    """

    def __init__(self) -> None:
        self.plain = threading.RLock()
        """The lock itself, for a forward pass that takes it by `acquire(blocking=False)` to save time."""
        self.holder: int | None = None
        self._depth = 0

    def __enter__(self) -> RunLock:
        if not self.plain.acquire(blocking=False):
            self.wait()
        self._depth += 1
        self.holder = threading.get_ident()
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.holder = None
        self.plain.release()

    @contextmanager
    def wait_and_hold(self, look: Callable[[], object]) -> Iterator[None]:
        """Hold the lock. While another thread has it, call `look` five times a second, which may raise to stop."""
        if not self.plain.acquire(blocking=False):
            self.wait(look)
        try:
            with self:
                yield
        finally:
            self.plain.release()

    def wait(self, look: Callable[[], object] = lambda: None) -> None:
        """Acquire `plain` when it is released; raises ThreadError if its holder is blocked."""
        me, looks = threading.get_ident(), 0
        _waiting_for[me] = self
        try:
            while not self.plain.acquire(timeout=PATIENCE):
                look()
                looks = looks + 1 if is_blocked(self.holder, me) else 0
                if looks == LOOKS:
                    raise ThreadError(
                        "Another thread holds this model, inside `edited` or its lock, and is itself waiting, so "
                        "neither could go on. Run the model in the thread that opened the context, leave the context "
                        "before starting other threads, or give each thread a copy.deepcopy of the model."
                    )
        finally:
            del _waiting_for[me]

    def __deepcopy__(self, memo: dict[int, Any]) -> RunLock:
        return memo.setdefault(id(self), RunLock())

    def __reduce__(self) -> tuple[type[RunLock], tuple[()]]:
        return RunLock, ()


def is_blocked(thread: int | None, waiter: int) -> bool:
    """Return whether a thread has ended, blocks in the standard library, or waits for a lock held by `waiter`."""
    if thread is None:
        return False  # taken for one forward pass, which ends by itself
    if thread == waiter:
        return True
    if (lock := _waiting_for.get(thread)) is not None:
        return is_blocked(lock.holder, waiter)
    frame = sys._current_frames().get(thread)
    return frame is None or frame.f_globals.get("__name__", "").partition(".")[0] in WAITING_ROOMS
