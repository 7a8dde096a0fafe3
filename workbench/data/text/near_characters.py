"""Substitutes for characters that an alphabet lacks."""

import unicodedata
from collections.abc import Iterable

PLAIN = {
    character: plain
    for plain, fancy in {
        '"': "“”„«»",
        "'": "‘’‚`´",
        "-": "–—−‐‑",
        ".": "…•",
        "x": "×",
        " ": "\t\u00a0",
        "\n": "\r",
        "s": "ß",
    }.items()
    for character in fancy
}


def nearest_character(character: str, alphabet: Iterable[str]) -> str | None:
    """Return the nearest character in the alphabet, or None.

    Tries the plain form of a typographic character, the letter without its accent, and the other case.
    """
    known = set(alphabet)
    plain = PLAIN.get(character, character)
    bare = unicodedata.normalize("NFKD", plain)[0]
    for candidate in (plain, bare, plain.swapcase(), bare.swapcase()):
        if candidate in known:
            return candidate
    return None
