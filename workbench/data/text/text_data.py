"""Text data set for language modelling: training and validation text, source, licence and hash."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class TextData:
    """Training and validation text. `sha256` is of both, concatenated in UTF-8."""

    name: str
    train: str
    validation: str
    licence: str
    source: str
    sha256: str
    note: str = ""


def text_hash(train: str, validation: str) -> str:
    """Compute the sha256 of two texts, concatenated in UTF-8."""
    digest = hashlib.sha256(train.encode())
    digest.update(validation.encode())
    return digest.hexdigest()
