"""Preferences of a person: pairs of texts and which one was liked better, one line of JSON each."""

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
    """Two texts for one prompt as they were shown, which of them was chosen, and who wrote and who judged them.

    `swapped` tells that the first text drawn was shown on the right: positions are random, so that a liking for one
    side does not count as a liking for a text.
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
        """The text that was liked better, and the other; None when neither was."""
        pairs = {"left": (self.left, self.right), "right": (self.right, self.left)}
        return pairs.get(self.chosen)


def append(path: Path, preference: Preference) -> None:
    """Adds one line; what was there stays as it is, and a line is on disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(preference), ensure_ascii=False) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Preference]:
    """Every preference in a file, in the order they were given; none where there is no file."""
    if not path.is_file():
        return []
    lines = read_text(path, "file of preferences").split("\n")  # splitlines would cut at U+2028 inside a text
    return [parsed(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def parsed(line: str, where: str) -> Preference:
    """One line."""
    try:
        fields = read_json(line, "The line")
        if fields["chosen"] not in CHOICES:
            raise DataError(f"{where}: chosen is {fields['chosen']!r}. Write one of {', '.join(CHOICES)}.")
        return Preference(**fields)
    except (KeyError, TypeError, ConfigError, UnknownNameError) as reason:
        raise DataError(f"{where} is no preference: {reason}. Mend or delete the line.") from reason


def left_share(preferences: Sequence[Preference]) -> float | None:
    """How often the left text was chosen where one was: near a half when the side does not matter; None for none."""
    decided = [preference.chosen for preference in preferences if preference.chosen != "equal"]
    return decided.count("left") / len(decided) if decided else None
