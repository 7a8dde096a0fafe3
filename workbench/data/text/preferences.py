"""Preferences of a person over pairs of texts, one line of JSON each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from workbench.core.errors import ConfigError, DataError, UnknownNameError, short
from workbench.core.ranges import check_fields
from workbench.core.reading import read_json, read_text

Choice = Literal["left", "right", "equal"]
CHOICES: tuple[Choice, ...] = ("left", "right", "equal")


@dataclass(frozen=True)
class Preference:
    """Two texts for one prompt as they were shown, the choice, and the authors and the judge.

    `swapped` means that the first text was shown on the right. Sides are random, so that a preference for one side does
    not
    count as a preference for a text.
    """

    prompt: str
    left: str
    right: str
    chosen: Choice
    swapped: bool
    model: str
    pair: int
    seed: int
    annotator: str

    def __post_init__(self) -> None:
        check_fields(self)
        lines = len(self.prompt.strip().split("\n")) if self.prompt.strip() else 0
        if lines != 1:
            raise ConfigError(
                f"The prompt {short(self.prompt)} has {lines} lines. Write one: a line break ends a prompt."
            )

    @property
    def ordered(self) -> tuple[str, str] | None:
        """The preferred text and the other one; None if neither was preferred."""
        pairs = {"left": (self.left, self.right), "right": (self.right, self.left)}
        return pairs.get(self.chosen)


def append(path: Path, preference: Preference) -> None:
    """Append one line; it is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(preference), ensure_ascii=False) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Preference]:
    """Read every preference in a file in order; empty if there is no file."""
    if not path.is_file():
        return []
    lines = read_text(path, "file of preferences").split("\n")  # splitlines would cut at U+2028 inside a text
    return [parse_line(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def parse_line(line: str, where: str) -> Preference:
    """Parse one line."""
    try:
        fields = read_json(line, "The line")
        if fields["chosen"] not in CHOICES:
            raise DataError(f"{where}: chosen is {fields['chosen']!r}. Write one of {', '.join(CHOICES)}.")
        return Preference(**fields)
    except (KeyError, TypeError, ConfigError, UnknownNameError) as reason:
        raise DataError(f"{where} is no preference: {reason}. Mend or delete the line.") from reason


def left_share(preferences: Sequence[Preference]) -> float | None:
    """Return the share of choices for the left text, near one half without a bias; None without choices."""
    decided = [preference.chosen for preference in preferences if preference.chosen != "equal"]
    return decided.count("left") / len(decided) if decided else None
