"""Two kinds of text in one vocabulary: what an encoder-decoder is given, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import ConfigError, InputError, UnknownNameError

PAD, START, END = "_", "^", "$"
ARROW = "=>"
"""Between a source and the answer as far as it is known."""
Ids = Int[Tensor, " pos"] | Iterable[int]


@dataclass(frozen=True)
class PairTokenizer:
    """One token per character of a source, one per word of a target (per character when `joined`).

    Both share one vocabulary: padding, start and end, what a source is made of, what only a target is made of.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    joined: bool = False

    def __post_init__(self) -> None:
        for side, names in (("source", self.source), ("target", self.target)):
            if not names or len(set(names)) < len(names) or set(names) & {PAD, START, END, ""}:
                raise ConfigError(
                    f"The {side} needs at least one token, each given once and none of {PAD} {START} {END}."
                )

    @cached_property
    def tokens(self) -> list[str]:
        """Every token as one reads it."""
        return [PAD, START, END, *self.source, *(name for name in self.target if name not in self.source)]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Token to id."""
        return {name: i for i, name in enumerate(self.tokens)}

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    def source_ids(self, text: str) -> list[int]:
        """One id per character."""
        if not text:
            raise InputError("The source is empty. Type at least one character.")
        return known(text, self._readable, "character")

    def target_ids(self, text: str) -> list[int]:
        """The start, and the answer as far as it is known, which may be nothing."""
        names = [START, *(text if self.joined else text.split())]
        return known(names, self._writable, "character" if self.joined else "word")

    def encode(self, text: str) -> Int[Tensor, " pos"]:
        """The ids of a source alone."""
        return torch.tensor(self.source_ids(text))

    def decode(self, ids: Ids) -> str:
        """The source or target as one writes it: up to its end, without padding and start."""
        names = []
        for i in map(int, ids):
            if not 0 <= i < self.vocab_size:
                raise InputError(f"No token has the id {i}. Ids run from 0 to {self.vocab_size - 1}.")
            if self.tokens[i] == END:
                break
            names.append(self.tokens[i])
        names = [name for name in names if name not in (PAD, START)]
        spaced = not self.joined and not set(names) <= set(self.source)
        return (" " if spaced else "").join(names)

    def to_json(self) -> str:
        return json.dumps({"kind": "pair", "source": self.source, "target": self.target, "joined": self.joined})

    @cached_property
    def _readable(self) -> dict[str, int]:
        return {name: self.ids[name] for name in self.source}

    @cached_property
    def _writable(self) -> dict[str, int]:
        return {name: self.ids[name] for name in (START, *self.target)}


def known(names: Sequence[str], ids: Mapping[str, int], what: str) -> list[int]:
    """The id of each name; raises at the first that has none."""
    try:
        return [ids[name] for name in names]
    except KeyError:
        place, name = next((place, name) for place, name in enumerate(names) if name not in ids)
        raise UnknownNameError(what, name, ids, where=f" (place {place}) in this vocabulary") from None
