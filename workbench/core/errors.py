"""Errors for users: each message has the value, the place, the nearest valid choice and the next step."""

from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr

LONGEST = 200
"""Maximum length of one value in a message."""
MOST = 1_600
"""Maximum length of a message."""
SHORT = Repr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = LONGEST
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = SHORT.maxset = 8


class WorkbenchError(Exception):
    """Error that a user can fix. The message is shown as it is and is never longer than a paragraph."""

    def __init__(self, message: str = "") -> None:
        cut = f"{message[:1200]} ... {message[-300:]}" if len(message) > MOST else message
        super().__init__(cut)


class UnknownNameError(WorkbenchError, LookupError):
    """Unknown name; the message has the nearest known one."""

    def __init__(self, kind: str, name: object, known: Iterable[object], where: str = "") -> None:
        self.kind, self.name = kind, name if isinstance(name, str) else short(name)
        self.known = [str(k) for k in known]
        super().__init__(f"No {kind} named {short(self.name)}{where}. {suggestion(self.name, self.known)}")


class ShapeError(WorkbenchError, ValueError):
    """Tensor of the wrong shape; the message has both shapes."""


class NeverFiredError(WorkbenchError):
    """Hook that exists but did not fire on this input."""


class OverwrittenError(WorkbenchError):
    """Cached activation that was changed by a later in-place operation."""


class TrainingModeError(WorkbenchError):
    """Model in training mode, where dropout and batch statistics change every result."""


class ThreadError(WorkbenchError, RuntimeError):
    """Model used from two threads that wait for each other."""


class ConfigError(WorkbenchError, ValueError):
    """Invalid configuration."""


class InputError(WorkbenchError, ValueError):
    """Input that the model or the analysis does not accept."""


class DataError(WorkbenchError):
    """Data set that is missing, corrupt or not available."""


class CheckpointError(WorkbenchError):
    """Checkpoint that cannot be written or must not be loaded."""


class TrainingError(WorkbenchError):
    """Training that was stopped because it cannot succeed."""


class Cancelled(WorkbenchError):
    """Raised in a progress callback to stop a long computation. No partial result is kept."""


def short(value: object) -> str:
    """Return the `repr` of a value for an error message, shortened in the middle.

    An integer of more than 4,300 digits, for which Python has no `repr`, is described by its size.
    """
    try:
        return SHORT.repr(value)
    except ValueError:
        return f"a number of {value.bit_length():,} bits" if isinstance(value, int) else f"a {type(value).__name__}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, or None if none is close."""
    names = list(known)
    if len(name) > LONGEST:
        return None
    folded = {k.lower(): k for k in reversed(names)}
    close = get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest choice, or with all choices if none is near."""
    names = list(known)
    if (close := nearest(name, names)) is not None:
        return f"Did you mean {short(close)}?"
    shown = ", ".join(map(short, names[:8])) + (", ..." if len(names) > 8 else "")
    return f"Known: {shown}." if names else "There are none."
