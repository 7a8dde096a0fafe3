"""What can go wrong for a user: each error names the value, the place, the nearest valid choice and the next step."""

from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr

LONGEST = 200
"""Characters of one value in a message."""
MOST = 1_600
"""Characters of a message."""
SHORT = Repr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = LONGEST
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = SHORT.maxset = 8


class WorkbenchError(Exception):
    """Anything the user can mend; the message is meant to be read as it is, so it is never longer than a paragraph."""

    def __init__(self, message: str = "") -> None:
        cut = f"{message[:1200]} ... {message[-300:]}" if len(message) > MOST else message
        super().__init__(cut)


class UnknownNameError(WorkbenchError, LookupError):
    """A name that does not exist, with the nearest one that does."""

    def __init__(self, kind: str, name: object, known: Iterable[object], where: str = "") -> None:
        self.kind, self.name = kind, name if isinstance(name, str) else short(name)
        self.known = [str(k) for k in known]
        super().__init__(f"No {kind} named {short(self.name)}{where}. {suggestion(self.name, self.known)}")


class ShapeError(WorkbenchError, ValueError):
    """A tensor of the wrong shape, with both shapes."""


class NeverFiredError(WorkbenchError):
    """A hook that exists but was not reached by this input."""


class OverwrittenError(WorkbenchError):
    """A cached activation that a later in-place operation changed."""


class TrainingModeError(WorkbenchError):
    """A model was opened while in training mode, where dropout and batch statistics blur every answer."""


class ThreadError(WorkbenchError, RuntimeError):
    """A model used from two threads that wait for each other."""


class ConfigError(WorkbenchError, ValueError):
    """A configuration that does not fit."""


class InputError(WorkbenchError, ValueError):
    """An input that the model or the technique cannot take."""


class DataError(WorkbenchError):
    """A data set that is missing, corrupt or out of reach."""


class CheckpointError(WorkbenchError):
    """A checkpoint that cannot be written or must not be loaded."""


class TrainingError(WorkbenchError):
    """A training run that stopped because going on would spoil it."""


class Cancelled(WorkbenchError):
    """Raised from a progress callback to stop a long computation; nothing half-done is kept."""


def short(value: object) -> str:
    """The `repr` of a value for an error message, its middle left out when it is long.

    A whole number of more than 4,300 digits, for which Python has no `repr`, is described by its size.
    """
    try:
        return SHORT.repr(value)
    except ValueError:
        return f"a number of {value.bit_length():,} bits" if isinstance(value, int) else f"a {type(value).__name__}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None when nothing is close."""
    names = list(known)
    if len(name) > LONGEST:
        return None
    folded = {k.lower(): k for k in reversed(names)}
    close = get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """One sentence that leads on: the nearest choice, or all of them when none is near."""
    names = list(known)
    if (close := nearest(name, names)) is not None:
        return f"Did you mean {short(close)}?"
    shown = ", ".join(map(short, names[:8])) + (", ..." if len(names) > 8 else "")
    return f"Known: {shown}." if names else "There are none."
