"""Tests of substitutes for characters outside an alphabet."""

import pytest

from workbench.data.text.near_characters import nearest_character


@pytest.mark.parametrize(
    ("character", "alphabet", "nearest"),
    [
        ("“", "ab\"'", '"'),
        ("’", "ab\"'", "'"),
        ("—", "a-", "-"),
        ("é", "abe", "e"),
        ("É", "abe", "e"),
        ("A", "abe", "a"),
        ("\t", "a ", " "),
        ("中", "abe", None),
        ("z", "abe", None),
    ],
)
def test_the_nearest_character_is_plainer_bare_or_of_the_other_case(
    character: str, alphabet: str, nearest: str | None
) -> None:
    assert nearest_character(character, alphabet) == nearest
