"""Tests of the hash of text data."""

import hashlib

from workbench.data.text.text_data import text_hash


def test_the_hash_of_a_split_text_is_the_hash_of_the_whole() -> None:
    assert text_hash("naïve", " text") == hashlib.sha256("naïve text".encode()).hexdigest()
