"""Checks of prompts and token ids shared by all tokenizers."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import InputError

Ids = Int[Tensor, " pos"] | Sequence[int]


def check_not_empty(text: str) -> None:
    """Raise for an empty prompt."""
    if not text:
        raise InputError("The prompt is empty. Type at least one character.")


def utf8(text: str) -> bytes:
    """Encode a prompt in UTF-8; raises if it is empty or not valid Unicode."""
    check_not_empty(text)
    try:
        return text.encode()
    except UnicodeEncodeError as reason:
        raise InputError(
            f"Character {text[reason.start]!r} at position {reason.start} is half of a surrogate pair, which means "
            "nothing alone. Leave it out."
        ) from None


def check_ids(ids: Ids, vocab_size: int) -> list[int]:
    """Convert ids to integers; raises if one is unknown."""
    known = [int(i) for i in ids]
    for place, i in enumerate(known):
        if not 0 <= i < vocab_size:
            raise InputError(f"No token has the id {i} (position {place}). Ids run from 0 to {vocab_size - 1}.")
    return known


def readable(content: bytes) -> str:
    r"""Decode bytes; those that are not UTF-8 (part of a character) become \x escapes."""
    return content.decode(errors="backslashreplace")
