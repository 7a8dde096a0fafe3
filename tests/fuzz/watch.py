"""Run one fuzz case and judge its answer or error, time and memory."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any, Literal

from cyclopts import CycloptsError

from workbench.core.errors import Cancelled, WorkbenchError

Kind = Literal["done", "refused", "traceback", "hang", "memory"]
LONGEST_MESSAGE = 2_000
SECONDS = 1.0
"""Time of the processor that a refusal may take."""
PATIENCE = 20
"""Seconds after which a case is interrupted; work that was accepted stops long before."""
MEGABYTES = 256.0


class TooSlow(BaseException):
    """Raised by the timer."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case, and why it counts against the workbench, if it does."""

    kind: Kind
    detail: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0


def judge(run: Callable[[], Any], refusals: tuple[type[BaseException], ...] = ()) -> Outcome:
    """Run one case.

    Args:
        run: The case; it may succeed.
        refusals: Errors that are right besides those of the workbench and of its command line.
    """
    before, start = memory(reset=True), process_time()
    try:
        with interrupted_after(PATIENCE):
            run()
        kind, detail = "done", ""
    except Cancelled:
        kind, detail = "done", ""
    except WorkbenchError as error:
        kind, detail = "refused", complaint(error)
    except (CycloptsError, *refusals):  # the command line cuts what these say
        kind, detail = "refused", ""
    except TooSlow:
        kind, detail = "hang", traceback.format_exc(limit=-4)
    except (Exception, SystemExit, KeyboardInterrupt):
        kind, detail = "traceback", traceback.format_exc(limit=-6)
    seconds, grown = process_time() - start, memory() - before
    if detail and kind == "refused":
        kind = "traceback"
    elif kind == "refused" and seconds > SECONDS:
        kind, detail = "hang", f"refused after {seconds:.1f} s"
    elif kind in ("done", "refused") and grown > MEGABYTES:
        kind, detail = "memory", f"{grown:.0f} MB"
    return Outcome(kind, detail, seconds, grown)  # type: ignore[arg-type]


def complaint(error: BaseException) -> str:
    """Why the message of an error is not one sentence or two; empty when it is."""
    message = str(error)
    if len(message) >= LONGEST_MESSAGE:
        return f"a message of {len(message):,} characters: {message[:200]!r}"
    if message.count("\n") > 2 or not message.strip():
        return f"a message of {message.count(chr(10)) + 1} lines: {message[:200]!r}"
    if message.startswith("Exceeds the limit"):
        return message
    return ""


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the block when it takes longer."""

    def ring(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds)  # that of a test's own limit goes on afterwards
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, outer)
        signal.signal(signal.SIGALRM, before)


def memory(reset: bool = False) -> float:
    """Most memory of this process in MB since the last reset (Linux; else 0); with `reset`, that of now."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
