"""The character of a small alphabet that comes nearest to one it lacks."""

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
    """The plain quote for a curly one, the letter without its accent, the other case; None when nothing is near."""
    known = set(alphabet)
    plain = PLAIN.get(character, character)
    bare = unicodedata.normalize("NFKD", plain)[0]
    for candidate in (plain, bare, plain.swapcase(), bare.swapcase()):
        if candidate in known:
            return candidate
    return None
