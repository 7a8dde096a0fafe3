"""Tokenizer for encoder-decoders: sources and targets share one vocabulary."""

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
"""Separates a source from the known beginning of its target, in the text form of an input."""
Ids = Int[Tensor, " pos"] | Iterable[int]


@dataclass(frozen=True)
class PairTokenizer:
    """One token per character of a source and one per word of a target (per character if `joined`).

    The vocabulary is: padding, start, end, source tokens, tokens that occur only in targets.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    joined: bool = False

    def __post_init__(self) -> None:
        for side, names in (("source", self.source), ("target", self.target)):
            if not names or len(set(names)) < len(names) or set(names) & {PAD, START, END, ""}:
                raise ConfigError(
                    f"The {side} needs at least one token, without duplicates and without {PAD} {START} {END}."
                )

    @cached_property
    def tokens(self) -> list[str]:
        """All tokens in the order of their ids."""
        return [PAD, START, END, *self.source, *(name for name in self.target if name not in self.source)]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Map from token to id."""
        return {name: i for i, name in enumerate(self.tokens)}

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    def source_ids(self, text: str) -> list[int]:
        """Return one id per character."""
        if not text:
            raise InputError("The source is empty. Type at least one character.")
        return look_up(text, self._readable, "character")

    def target_ids(self, text: str) -> list[int]:
        """Return the start token and the ids of the beginning of a target, which may be empty."""
        names = [START, *(text if self.joined else text.split())]
        return look_up(names, self._writable, "character" if self.joined else "word")

    def encode(self, text: str) -> Int[Tensor, " pos"]:
        """Return the ids of a source."""
        return torch.tensor(self.source_ids(text))

    def decode(self, ids: Ids) -> str:
        """Convert ids of a source or target to text, up to the end token and without padding and start."""
        names = []
        for i in map(int, ids):
            if not 0 <= i < self.vocab_size:
                raise InputError(f"Token id {i} is out of range. Ids run from 0 to {self.vocab_size - 1}.")
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


def look_up(names: Sequence[str], ids: Mapping[str, int], what: str) -> list[int]:
    """Return the id of each name; raises an `UnknownNameError` at the first unknown one."""
    try:
        return list(map(ids.__getitem__, names))
    except KeyError:
        place, name = next((place, name) for place, name in enumerate(names) if name not in ids)
        raise UnknownNameError(what, name, ids, where=f" (place {place}) in this vocabulary") from None
