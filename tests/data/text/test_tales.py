"""Tests of the grammar of tales: generation, parsing and rejection of wrong tales."""

from random import Random

import pytest

from workbench.core.registry import DATASETS
from workbench.data.text.byte_pairs import END_OF_TEXT
from workbench.data.text.tales import (
    SENTENCES,
    draw_slots,
    fill_slots,
    is_grammatical,
    parse_order,
    parse_tale,
    pattern,
    write_tale,
)

TALE = (
    "Once there was an old fox named Ada. She bought a golden egg one Sunday. Then an orphan asked for bread. "
    "Ada gave the egg to the orphan. And they lived happily ever after in the wood."
)


def changed(old: str, new: str) -> str:
    assert old in TALE
    return TALE.replace(old, new, 1)


def test_every_tale_of_the_grammar_is_accepted_and_fulfils_its_order() -> None:
    data = DATASETS["tales"]()
    texts = [text.split("\n") for text in data.validation.split(END_OF_TEXT)[:-1]]
    assert len(texts) == 1000
    for prompt, tale in texts:
        assert is_grammatical(tale)
        assert parse_order(prompt + "\n")["name"] in tale
    trained = {text.split("\n")[0] for text in data.train.split(END_OF_TEXT)[:-1]}
    assert len(trained) == 12_000 and not trained & {prompt for prompt, _ in texts}


def test_every_wording_reads_what_it_wrote() -> None:
    rng = Random(0)
    for wording in (wording for wordings in SENTENCES for wording in wordings):
        slots = draw_slots(rng)
        match = pattern(wording).fullmatch(fill_slots(wording, slots, rng))
        assert match, wording
        assert all(slots.get(name, words) == words for name, words in match.groupdict().items())


@pytest.mark.parametrize(
    "tale",
    [
        changed("an old", "a old"),
        changed("a golden", "an golden"),
        changed("She", "He"),
        changed("to the orphan", "to the king"),
        changed("the egg", "the ring"),
        changed("Ada gave", "Tom gave"),
        changed(" She bought a golden egg one Sunday.", ""),
        changed("golden egg", "golden golden egg"),
        TALE + " And that was the end of the matter.",
        " ".join(reversed(TALE.split(". "))),
        "",
    ],
)
def test_a_tale_with_one_thing_wrong_is_not_accepted(tale: str) -> None:
    assert is_grammatical(TALE) and not is_grammatical(tale)


def test_sentences_are_understood_one_by_one() -> None:
    found = parse_tale(changed("asked for bread", "asked bread for"))
    assert [sentence is not None for sentence in found] == [True, True, False, True, True]
    assert found[1] is not None and found[1].slots["vivid"] == "golden " and found[1].slots["time"] == "Sunday"


def test_what_is_no_order_asks_for_nothing() -> None:
    assert parse_order("Tell of Ada, an old fox, and an egg.\n") == {
        "name": "Ada", "trait": "old", "animal": "fox", "thing": "egg",
    }  # fmt: skip
    assert parse_order("Tell me a joke.\n") == {}


def test_the_same_random_numbers_tell_the_same_tale() -> None:
    assert write_tale(draw_slots(Random(3)), Random(4)) == write_tale(draw_slots(Random(3)), Random(4))
