"""Text to model: a training and a validation part."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class TextData:
    """A training and a validation text; `sha256` is of both in UTF-8, one after the other."""

    name: str
    train: str
    validation: str
    licence: str
    source: str
    sha256: str
    note: str = ""


def text_hash(train: str, validation: str) -> str:
    """The sha256 of two texts in UTF-8, one after the other."""
    digest = hashlib.sha256(train.encode())
    digest.update(validation.encode())
    return digest.hexdigest()
