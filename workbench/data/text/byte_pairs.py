"""Byte-pair tokenizer of GPT-2, trained on a text or read from a `tokenizer.json` of Hugging Face."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from tokenizers import Tokenizer as Pairs
from tokenizers import decoders, models, pre_tokenizers, trainers
from torch import Tensor

from workbench.core.errors import ConfigError, InputError, short
from workbench.data.text.token_ids import Ids, check_ids, readable, utf8

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class BytePairTokenizer:
    """Byte-pair encoding of bytes (GPT-2's scheme), which can encode every text.

    `definition` is the JSON of the `tokenizers` library. `<|endoftext|>` is one token if it was trained so.
    """

    definition: str

    @cached_property
    def pairs(self) -> Pairs:
        """Tokenizer of the library, without truncation, added tokens and random merges."""
        stored = json.loads(self.definition)
        require_byte_pairs(stored)
        stored |= {"truncation": None, "padding": None, "post_processor": None}
        stored["model"]["dropout"] = None
        return Pairs.from_str(json.dumps(stored))

    @cached_property
    def is_lossless(self) -> bool:
        """True if every text is certain to be decoded unchanged."""
        return reads_as_written(json.loads(self.definition))

    @property
    def vocab_size(self) -> int:
        return self.pairs.get_vocab_size()

    @cached_property
    def tokens(self) -> list[str]:
        stand_ins, added = byte_of_stand_in(), self.pairs.get_added_tokens_decoder()
        names = sorted(vocab := self.pairs.get_vocab(), key=vocab.__getitem__)
        return [n if i in added else readable(bytes(stand_ins[c] for c in n)) for i, n in enumerate(names)]

    def encode(self, text: str) -> Int[Tensor, " pos"]:
        """Return one id per merged run of bytes; raises `InputError` for a text that the tokenizer would change."""
        utf8(text)
        ids = self.pairs.encode(text, add_special_tokens=False).ids
        if not self.is_lossless and (seen := self.decode(ids)) != text:
            raise InputError(
                f"This tokenizer changes the text {short(text)} to {short(seen)}, so positions would not be those of "
                f"the text. Write {short(seen)}, or use a tokenizer without a normalizer."
            )
        return torch.tensor(ids)

    def decode(self, ids: Ids) -> str:
        """Decode ids; invalid UTF-8 becomes the replacement character."""
        return self.pairs.decode(check_ids(ids, self.vocab_size), skip_special_tokens=False)

    def to_json(self) -> str:
        return json.dumps({"kind": "byte_pair", "definition": json.loads(self.definition)})


def train_bpe(text: str, vocab_size: int, special: tuple[str, ...] = (END_OF_TEXT,)) -> BytePairTokenizer:
    """Train a tokenizer on a text (Sennrich et al. 2016, on bytes); the same text gives the same tokenizer.

    `vocab_size` counts the 256 bytes and the special tokens; a short text may not have enough pairs to fill it.
    """
    if vocab_size < 256 + len(special):
        raise ConfigError(f"A vocabulary of {vocab_size} cannot hold 256 bytes and {len(special)} special tokens.")
    pairs = Pairs(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pairs.train_from_iterator(text.splitlines(keepends=True), trainer)
    return BytePairTokenizer(pairs.to_str())


def require_byte_pairs(stored: Mapping[str, Any]) -> None:
    """Raise `ConfigError` unless the stored tokenizer is a byte-pair encoding of bytes, with ids from 0 on."""
    model, kinds = stored.get("model") or {}, kinds_in(stored.get("pre_tokenizer")) | kinds_in(stored.get("decoder"))
    if model.get("type") != "BPE" or "ByteLevel" not in kinds:
        raise ConfigError(
            f"This tokenizer is a {model.get('type')} of {', '.join(sorted(kinds)) or 'plain text'} and not byte-level "
            "byte pairs as GPT-2 has them. Encode texts with its own library and pass the ids, or train one with "
            "train_bpe."
        )
    ids = sorted({*model["vocab"].values(), *(token["id"] for token in stored.get("added_tokens") or ())})
    if ids != list(range(len(ids))):
        missing = next(i for i, known in enumerate(ids) if i != known)
        raise ConfigError(
            f"The ids of this tokenizer leave out {missing}, so the tokens cannot be listed. Give every id from 0 to "
            f"{ids[-1]} a token."
        )


def kinds_in(part: Mapping[str, Any] | None) -> set[str]:
    """Return the types of a pre-tokenizer or decoder and of its parts."""
    if part is None:
        return set()
    parts = [*part.get("pretokenizers", ()), *part.get("decoders", ())]
    return {part["type"]}.union(*map(kinds_in, parts))


def reads_as_written(stored: Mapping[str, Any]) -> bool:
    """True if nothing in a stored byte-pair tokenizer changes, drops or adds characters."""
    before = stored.get("pre_tokenizer") or {}
    plain = before.get("type") == "ByteLevel" and not before.get("add_prefix_space")
    greedy = any(
        token.get(name)
        for token in stored.get("added_tokens") or ()
        for name in ("lstrip", "rstrip", "single_word", "normalized")
    )
    knows_bytes = byte_of_stand_in().keys() <= stored["model"]["vocab"].keys()
    return plain and not greedy and knows_bytes and stored.get("normalizer") is None


def byte_of_stand_in() -> dict[str, int]:
    """Map GPT-2's printable characters to bytes: the byte itself if printable, else the next free code point."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [value for value in range(256) if value not in printable]
    return {chr(value): value for value in printable} | {chr(256 + i): value for i, value in enumerate(hidden)}
