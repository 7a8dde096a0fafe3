"""Tales: short stories generated from a prompt by a grammar that can also parse them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from workbench.core.random import derived_seed
from workbench.core.registry import DATASETS
from workbench.data.text.byte_pairs import END_OF_TEXT
from workbench.data.text.text_data import TextData, text_hash

TRAIN, VALIDATION = 12_000, 1_000
Slots = Mapping[str, str]

HE = ("Tom", "Ben", "Jack", "Peter", "Hans", "Ned", "Hugh", "Max")
SHE = ("Ada", "Mary", "Jane", "Alice", "Rose", "Kate", "Lucy", "Ruth")
SLOTS: dict[str, tuple[str, ...]] = {
    "name": (*HE, *SHE),
    "trait": ("shy", "old", "clever", "lazy", "brave", "ugly", "proud", "gentle"),
    "animal": ("fox", "owl", "bear", "hen", "wolf", "eagle", "goat", "mouse", "duck", "ass", "cat", "hare"),
    "other": ("king", "child", "beggar", "soldier", "witch", "orphan", "farmer", "princess", "miller", "old man"),
    "thing": ("ring", "apple", "lamp", "egg", "crown", "orange", "shoe", "cake", "book", "axe", "key", "bell"),
    "place": ("by the sea", "in a hollow tree", "on a hill", "under the bridge", "near the mill", "in the wood",
              "beside a brook", "in the valley", "beyond the river", "in the garden"),
    "time": ("morning", "evening", "winter night", "summer day", "rainy day", "Sunday"),
    "where": ("in the grass", "under a stone", "on the road", "in an old chest", "behind the door", "in the snow"),
    "vivid": ("golden ", "silver ", "crimson ", "shining ", "rosy ", "snowy ", "amber ", "ebony "),
    "sky": ("moon", "stars", "sky", "clouds"),
    "came": ("came by and wept", "came by and sang", "knocked at the door", "asked for bread", "asked the way",
             "sat down to rest"),
    "he": ("he", "she"), "He": ("He", "She"), "him": ("him", "her"),
}  # fmt: skip
SLOT, ARTICLE = re.compile(r"{(\w+)}"), re.compile(r"\b([Aa]) (?=[aeiou])")
AGREE = ("name", "trait", "animal", "thing", "other", "he", "him")
"""Slots that have the same value throughout a tale."""
PLAINNESS = 0.7
"""Probability that a noun has no vivid adjective."""

PROMPT = "Tell of {name}, a {trait} {animal}, and a {thing}.\n"
KIND = (
    "{name} shared the {thing} with the {other}.", "{name} gave the {thing} to the {other}.",
    "{name} helped the {other} at once.", "{name} comforted the {other}.", "{name} carried the {other} home.",
)  # fmt: skip
UNKIND = (
    "{name} hid the {thing} from the {other}.", "{name} laughed at the {other}.", "{name} drove the {other} away.",
    "{name} scolded the {other}.", "{name} told the {other} to go away.",
)  # fmt: skip
NEITHER = (
    "{name} looked at the {other}.", "{name} said nothing to the {other}.", "{name} showed the {other} the road.",
    "{name} listened to the {other}.", "{name} went on working.",
)  # fmt: skip
HAPPY = (
    "So they became friends and were merry {place}.", "And they danced under the {vivid}{sky} until morning.",
    "And they lived happily ever after {place}.", "Then they laughed and walked home under the {vivid}{sky}.",
)  # fmt: skip
SAD = (
    "So {he} was left alone under the {vivid}{sky} and wept.", "After that nobody came to see {him} any more.",
    "And the {thing} was lost for ever {place}.", "Then {he} fell ill and lay {place}.",
)  # fmt: skip
PLAIN = (
    "Then night came and the {vivid}{sky} rose.", "And that was the end of the matter.",
    "So {he} went back to the house {place}.", "After that {he} slept under the {vivid}{sky}.",
)  # fmt: skip
SENTENCES: tuple[tuple[str, ...], ...] = (
    ("Once there was a {trait} {animal} named {name}.", "{name} the {animal} lived {place}.",
     "Long ago {name} the {trait} {animal} lived {place}."),
    ("One {time} {he} found a {vivid}{thing} {where}.", "{He} had a {vivid}{thing} and kept it {where}.",
     "{He} bought a {vivid}{thing} one {time}."),
    ("Then a {vivid}{other} {came}.", "One {time} a {vivid}{other} {came}."),
    (*KIND, *UNKIND, *NEITHER),
    (*HAPPY, *SAD, *PLAIN),
)  # fmt: skip
"""Wordings of each sentence of a tale, in order. "a" stands for "a" or "an"."""


@dataclass(frozen=True)
class Sentence:
    """Parsed sentence: its wording and the values of its slots."""

    wording: str
    slots: Slots


@DATASETS.register("tales")
@cache
def tales() -> TextData:
    """12,000 training and 1,000 validation tales, each after its prompt; no prompt occurs twice."""
    rng = Random(derived_seed(0, "tales"))
    made: dict[str, str] = {}
    while len(made) < TRAIN + VALIDATION:
        slots = draw_slots(rng)
        made.setdefault(fill_slots(PROMPT, slots, rng), write_tale(slots, rng))
    texts = [prompt + tale + END_OF_TEXT for prompt, tale in made.items()]
    train, validation = "".join(texts[:TRAIN]), "".join(texts[TRAIN:])
    note = "An order in one line and a tale of five sentences in the next, `<|endoftext|>` after each tale."
    return TextData("tales", train, validation, "made in code", "made in code", text_hash(train, validation), note)


def draw_slots(rng: Random) -> dict[str, str]:
    """Draw the values that stay the same throughout a tale."""
    slots = {slot: rng.choice(SLOTS[slot]) for slot in ("name", "trait", "animal", "thing", "other")}
    return slots | pronouns_of(slots["name"])


def pronouns_of(name: str) -> dict[str, str]:
    """Return the pronouns of a name."""
    return {slot: SLOTS[slot][name in SHE] for slot in ("he", "He", "him")}


def write_tale(slots: Slots, rng: Random) -> str:
    """Generate a tale, drawing wordings and the remaining slots at random."""
    return " ".join(fill_slots(rng.choice(wordings), slots, rng) for wordings in SENTENCES)


def fill_slots(wording: str, slots: Slots, rng: Random) -> str:
    """Fill the slots of a wording, drawing those not given, and write "an" before vowels."""
    filled = SLOT.sub(
        lambda match: (
            "" if match[1] == "vivid" and rng.random() < PLAINNESS
            else slots[match[1]] if match[1] in slots
            else rng.choice(SLOTS[match[1]])
        ),
        wording,
    )  # fmt: skip
    return ARTICLE.sub(r"\1n ", filled)


@cache
def pattern(wording: str) -> re.Pattern[str]:
    """Compile a wording to a regular expression that accepts "a" and "an" only where they are right."""
    articled = re.sub(r"\ba (?={)", "(?:an (?=[aeiou])|a (?![aeiou]))", wording.replace(".", r"\."))
    return re.compile(SLOT.sub(lambda match: alternatives(match[1]), articled))


def alternatives(slot: str) -> str:
    """Return a named group that matches all values of a slot."""
    return f"(?P<{slot}>{'|'.join(SLOTS[slot])}{'|' if slot == 'vivid' else ''})"


def parse_order(prompt: str) -> Slots:
    """Return the name, trait, animal and thing of a prompt; empty if it is not a valid prompt."""
    match = pattern(PROMPT).fullmatch(prompt)
    return match.groupdict() if match else {}


def parse_tale(tale: str) -> list[Sentence | None]:
    """Parse the sentences of a text, each with the wordings of its place; None where none matches."""
    sentences = re.split(r"(?<=\.) ", tale)
    return [match_sentence(text, SENTENCES[i]) if i < len(SENTENCES) else None for i, text in enumerate(sentences)]


def match_sentence(text: str, wordings: tuple[str, ...]) -> Sentence | None:
    """Return the parse of a text with the first wording that matches, or None."""
    for wording in wordings:
        if match := pattern(wording).fullmatch(text):
            return Sentence(wording, match.groupdict())
    return None


def is_grammatical(tale: str) -> bool:
    """Return whether a text is a tale: five sentences that parse, with consistent names, things and pronouns."""
    sentences = parse_tale(tale)
    found = [(slot, words) for sentence in sentences if sentence for slot, words in sentence.slots.items()]
    expected: dict[str, str] = {}
    for slot, words in found:
        expected |= pronouns_of(words) if slot == "name" else {}
    agree = all(expected.setdefault(slot, words) == words for slot, words in found if slot in (*AGREE, "He"))
    return len(sentences) == len(SENTENCES) and None not in sentences and agree
