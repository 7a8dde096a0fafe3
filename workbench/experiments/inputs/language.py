"""The input language: `test:0:16`, `text:To be||or not` or `rollout:0:16`, parsed and printed by one class.

An input text is a source, a colon and a selection. Each modality lists its sources; a source names the class that
parses its selection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from workbench.core.errors import ConfigError, InputError, UnknownNameError, short
from workbench.core.reading import DIGITS, is_text, whole
from workbench.core.registry import MODALITIES
from workbench.experiments.questions.budget import Amount, require

ALSO = "||"
"""Separates several prompts, files or rows."""
SEEDS = 2**32
"""Seeds lie below this, as those of NumPy do."""
ROWS = re.compile(
    rf"(class=(?P<name>[^:]+):|known=(?P<known>{DIGITS}):)?(?P<start>{DIGITS})?(?P<range>:(?P<stop>{DIGITS})?)?"
)


@dataclass(frozen=True)
class Selection:
    """Whole numbers between colons, one for each field of a subclass; other selections override `parse`."""

    @classmethod
    def parse(cls, text: str) -> Selection | None:
        """Read a selection; None if the text has another form."""
        numbers = [whole(part) for part in text.split(":")]
        required = sum(number.default is MISSING for number in fields(cls))
        if None in numbers or not required <= len(numbers) <= len(fields(cls)):
            return None
        return cls(*numbers)

    def __str__(self) -> str:
        return ":".join(str(value) for value in astuple(self) if value is not None)

    @property
    def examples(self) -> int | None:
        """Number of examples; None if only the data can tell."""
        return None

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the files that are read."""
        return ()

    @property
    def is_own(self) -> bool:
        """True if the examples are the reader's own: uploaded or typed."""
        return bool(self.files)

    def at(self, files: tuple[str, ...]) -> Selection:
        """Return the same selection of other files."""
        return self

    @property
    def amounts(self) -> dict[str, Amount]:
        """Amounts that the selection asks for, by field of `Budget`."""
        asked: dict[str, Amount] = {} if self.examples is None else {"rows": self.examples}
        return asked | ({"bytes": sum(map(size_of, self.files))} if self.files else {})


@dataclass(frozen=True)
class Seed(Selection):
    """`SEED` alone."""

    seed: int


@dataclass(frozen=True)
class Draws(Selection):
    """`SEED:N`."""

    seed: int
    n: int

    @property
    def examples(self) -> int:
        return self.n


@dataclass(frozen=True)
class Steps(Selection):
    """`SEED:N`, N steps spread over an episode, or `SEED:FIRST:LAST`, a range of its steps."""

    seed: int
    first: int
    last: int | None = None

    @property
    def steps(self) -> list[int]:
        """`N` alone, or first and last step."""
        return [self.first] if self.last is None else [self.first, self.last]

    @property
    def examples(self) -> int:
        return self.first if self.last is None else self.last - self.first


@dataclass(frozen=True)
class Rows(Selection):
    """Rows of a data set: `3`, `0:16`, `3:`, of one class (`class=dog:0:16`) or with answers known (`known=2:0:16`)."""

    start: int = 0
    stop: int | None = None
    class_name: str = ""
    known: int | None = None

    @classmethod
    def parse(cls, text: str) -> Rows | None:
        match = ROWS.fullmatch(text)
        if match is None or not (match["start"] or match["range"]):
            return None
        start = int(match["start"] or 0)
        stop = (int(match["stop"]) if match["stop"] else None) if match["range"] else start + 1
        return cls(start, stop, match["name"] or "", int(match["known"]) if match["known"] else None)

    def __str__(self) -> str:
        end = "" if self.stop == self.start + 1 else f":{'' if self.stop is None else self.stop}"
        return f"{self.which}{self.start}{end}"

    @property
    def which(self) -> str:
        """The part before the range: `class=dog:`, `known=2:` or nothing."""
        return f"class={self.class_name}:" if self.class_name else "" if self.known is None else f"known={self.known}:"

    @property
    def examples(self) -> int | None:
        return None if self.stop is None else self.stop - self.start

    def within(self, n: int, where: str) -> slice:
        """Return the range as a slice of `n` rows.

        Args:
            n: Number of rows that exist.
            where: Names what has them in errors, such as "the test split of digits".

        Raises:
            InputError: If a row does not exist, or the rows exceed the budget.
        """
        stop = n if self.stop is None else self.stop
        if not self.start < stop <= n:
            raise InputError(f"Rows {self.start}:{stop} do not exist: {where} has {n}. Choose a range inside 0:{n}.")
        require("rows", stop - self.start, f"rows {self.start}:{stop} of {where}")
        return slice(self.start, stop)


@dataclass(frozen=True)
class Texts(Selection):
    """One or more prompts."""

    texts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Texts:
        return cls(tuple(text.split(ALSO)))

    def __str__(self) -> str:
        return ALSO.join(self.texts)

    @property
    def examples(self) -> int:
        return len(self.texts)

    @property
    def is_own(self) -> bool:
        return True

    @property
    def amounts(self) -> dict[str, Amount]:
        return super().amounts | {"characters": len(str(self))}


@dataclass(frozen=True)
class Files(Selection):
    """One or more files of one example each."""

    paths: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Files:
        return cls(tuple(text.split(ALSO)))

    def __str__(self) -> str:
        return ALSO.join(self.paths)

    @property
    def examples(self) -> int:
        return len(self.paths)

    @property
    def files(self) -> tuple[str, ...]:
        return self.paths

    def at(self, files: tuple[str, ...]) -> Files:
        return replace(self, paths=files)


def size_of(path: str) -> int:
    """Return the size of a file; 0 if there is none, which is reported when it is read."""
    try:
        return Path(path).expanduser().stat().st_size
    except (OSError, ValueError, RuntimeError):
        return 0


def never(data: str) -> bool:
    """Return False: the source reads no data set."""
    return False


def always(data: str) -> bool:
    """Return True: the source reads the model's data set."""
    return True


@dataclass(frozen=True)
class Source:
    """A source of inputs of one modality.

    Attributes:
        name: Word before the first colon.
        form: Spelling, for error messages.
        selection: Class that parses the rest of the text. A name has the same class in every modality.
        read: Reads the batch that a `Request` asks for.
        reads_data: Tests by the name of the model's data set if the data set is read.
        corrupts: The source corrupts clean inputs and cannot stand alone.
    """

    name: str
    form: str
    selection: type[Selection]
    read: Callable[..., Any]
    reads_data: Callable[[str], bool] = never
    corrupts: bool = False


@dataclass(frozen=True)
class Inputs:
    """`test:0:16`: a source and a selection of its examples.

    >>> Inputs.parse("test:class=3:0:16").selection.class_name
    '3'
    >>> str(Inputs.parse("rollout:0:16"))
    'rollout:0:16'
    """

    source: str
    selection: Any
    form: str = field(default="", compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, sources: Mapping[str, Source] | None = None) -> Inputs:
        """Parse an input text; no file or data set is read.

        Args:
            text: A source, a colon and a selection.
            sources: Sources by name; all that are registered if left out.

        Raises:
            InputError: If the text has another form. The message gives the forms that are possible.
        """
        if not isinstance(text, str) or not is_text(text):
            raise InputError(
                f"{short(text)} holds a character that no text has (NUL, or half of a pair). Leave it out."
            )
        name, colon, rest = text.partition(":")
        known = all_sources() if sources is None else sources
        if name not in known:
            forms = "; ".join(source.form for source in known.values())
            raise InputError(f"{UnknownNameError('source of inputs', name, known)} Write {forms}.")
        source = known[name]
        if not colon or not rest:
            raise InputError(f"{short(text)} does not say which inputs. Write {source.form}.")
        selection = source.selection.parse(rest)
        if selection is None:
            reason = (
                f"{short(rest)} is no range of rows" if source.selection is Rows else f"{short(text)} cannot be read"
            )
            raise InputError(f"{reason}. Write {source.form}.")
        if (seed := getattr(selection, "seed", 0)) >= SEEDS:
            raise InputError(f"The seed {seed} of {name!r} is too large. Seeds go from 0 to {SEEDS - 1}.")
        return cls(name, selection, source.form)

    def __str__(self) -> str:
        return f"{self.source}:{self.selection}"

    @classmethod
    def try_parse(cls, text: str) -> Inputs | None:
        """Parse an input text; None if it cannot be parsed."""
        try:
            return cls.parse(text)
        except InputError:
            return None

    def require_budget(self) -> None:
        """Raise an `InputError` if the selection asks for more than the budget allows."""
        for name, amount in self.selection.amounts.items():
            require(name, amount, f"inputs {short(str(self))}")


def all_sources() -> dict[str, Source]:
    """Return the sources of all modalities by name.

    Raises:
        ConfigError: If two modalities parse the selection of one source differently.
    """
    found: dict[str, Source] = {}
    for modality in MODALITIES:
        for source in MODALITIES[modality].sources:
            other = found.setdefault(source.name, source)
            if other.selection is not source.selection:
                raise ConfigError(
                    f"The modality {modality!r} reads the selection of {source.name!r} as {source.selection.__name__}, "
                    f"another one as {other.selection.__name__}. Give the source another name."
                )
    return found
