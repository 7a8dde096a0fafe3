"""Tokenizers by character, word or byte, and byte pairs."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import CheckpointError, ConfigError, InputError, UnknownNameError
from workbench.core.reading import read_json
from workbench.data.pairs.pair_tokenizer import PairTokenizer
from workbench.data.text.byte_pairs import BytePairTokenizer
from workbench.data.text.near_characters import nearest_character
from workbench.data.text.token_ids import Ids, check_ids, check_not_empty, readable, utf8

WORD = re.compile(r"\w+|[^\w\s]")


@runtime_checkable
class Tokenizer(Protocol):
    """Interface of tokenizers; `tokens[i]` is the readable form of token i."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def tokens(self) -> list[str]: ...
    def encode(self, text: str) -> Int[Tensor, " pos"]: ...
    def decode(self, ids: Ids) -> str: ...
    def to_json(self) -> str: ...


@dataclass(frozen=True)
class Vocabulary:
    """Tokens listed in the order of their ids."""

    vocab: tuple[str, ...]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Map from token to id."""
        return {token: i for i, token in enumerate(self.vocab)}

    @property
    def vocab_size(self) -> int:
        return len(self.vocab)

    @property
    def tokens(self) -> list[str]:
        return list(self.vocab)


@dataclass(frozen=True)
class CharacterTokenizer(Vocabulary):
    """One token per character of `vocab`, in that order."""

    def __post_init__(self) -> None:
        if not self.vocab or len(set(self.vocab)) < len(self.vocab) or any(len(c) != 1 for c in self.vocab):
            raise ConfigError("A character vocabulary needs at least one character, each of length 1 and given once.")

    def encode(self, text: str) -> Int[Tensor, " pos"]:
        """Return one id per character."""
        check_not_empty(text)
        try:
            return torch.tensor([self.ids[character] for character in text])
        except KeyError:
            place = next(i for i, character in enumerate(text) if character not in self.ids)
            raise unknown_character(text, place, self.vocab) from None

    def decode(self, ids: Ids) -> str:
        """Join the characters."""
        return "".join(self.vocab[i] for i in check_ids(ids, self.vocab_size))

    def to_json(self) -> str:
        return json.dumps({"kind": "character", "vocab": "".join(self.vocab)})


@dataclass(frozen=True)
class ByteTokenizer:
    """One token per byte of the text in UTF-8: 256 tokens, without unknown ones."""

    @property
    def vocab_size(self) -> int:
        return 256

    @property
    def tokens(self) -> list[str]:
        return [readable(bytes([value])) for value in range(256)]

    def encode(self, text: str) -> Int[Tensor, " pos"]:
        """Return one id per byte."""
        return torch.tensor(list(utf8(text)))

    def decode(self, ids: Ids) -> str:
        """Decode bytes; invalid UTF-8 becomes the replacement character."""
        return bytes(check_ids(ids, 256)).decode(errors="replace")

    def to_json(self) -> str:
        return json.dumps({"kind": "byte"})


@dataclass(frozen=True)
class WordTokenizer(Vocabulary):
    """One token per word or mark of `vocab`, in that order; texts are split at spaces and around punctuation.

    `silent` words have no token, such as the plus of a sum. `fill` puts the word `filling` in front of a text that is
    shorter than `length` tokens.
    """

    silent: tuple[str, ...] = ()
    filling: str = ""
    length: int = 0

    def __post_init__(self) -> None:
        if not self.vocab or len(set(self.vocab)) < len(self.vocab):
            raise ConfigError("A vocabulary of words needs at least one word, each given once.")
        if self.length and self.filling not in self.vocab:
            raise ConfigError(f"{self.filling!r} is to fill up short texts and is no word of the vocabulary.")

    def encode(self, text: str) -> Int[Tensor, " pos"]:
        """Return one id per word."""
        words = [word for word in WORD.findall(text) if word not in self.silent]
        check_not_empty(" ".join(words))
        for place, word in enumerate(words):
            if word not in self.ids:
                raise UnknownNameError("word", word, self.vocab, where=f" (word {place}) in this vocabulary")
        return torch.tensor([self.ids[word] for word in words])

    def fill(self, ids: Int[Tensor, " pos"]) -> Int[Tensor, " filled"]:
        """Return the ids of a text, with the filling before them, as in training."""
        missing = max(0, self.length - len(ids))
        return torch.cat([torch.full((missing,), self.ids.get(self.filling, 0)), ids])

    def decode(self, ids: Ids) -> str:
        """Join the words by spaces."""
        return " ".join(self.vocab[i] for i in check_ids(ids, self.vocab_size))

    def to_json(self) -> str:
        about = {"vocab": self.vocab, "silent": self.silent, "filling": self.filling, "length": self.length}
        return json.dumps({"kind": "word", **about})


def character_tokenizer(text: str) -> CharacterTokenizer:
    """Make a tokenizer of the distinct characters of a text, in the order of their code points."""
    return CharacterTokenizer(tuple(sorted(set(text))))


def from_json(text: str) -> Tokenizer:
    """Read the text of `to_json`."""
    try:
        stored = read_json(text, "A tokenizer")
        match stored["kind"]:
            case "character":
                return CharacterTokenizer(tuple(stored["vocab"]))
            case "word":
                vocab, silent = tuple(stored["vocab"]), tuple(stored.get("silent", ()))
                return WordTokenizer(vocab, silent, stored.get("filling", ""), stored.get("length", 0))
            case "byte":
                return ByteTokenizer()
            case "byte_pair":
                return BytePairTokenizer(json.dumps(stored["definition"]))
            case "pair":
                return PairTokenizer(tuple(stored["source"]), tuple(stored["target"]), stored["joined"])
            case kind:
                raise CheckpointError(f"No tokenizer of kind {kind!r}. Known: character, word, byte, byte_pair, pair.")
    except (ConfigError, KeyError, TypeError) as reason:
        raise CheckpointError(f"This is not a stored tokenizer ({type(reason).__name__}: {reason}).") from reason


def unknown_character(text: str, place: int, vocab: Iterable[str]) -> InputError:
    """Return the error for a character that is not in a vocabulary."""
    near = nearest_character(text[place], vocab)
    known = "".join(vocab)
    hint = f"Write {near!r} instead." if near else f"Use only these {len(known)}: {known!r}."
    return InputError(f"Character {text[place]!r} at position {place} is not in the vocabulary. {hint}")
