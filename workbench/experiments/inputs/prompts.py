"""Ready-made prompts for language models: sentences in which one word decides the next token.

Prompts of one length in tokens make a batch. They need no data set, only a tokenizer that knows their words. The card
of a model decides which of them it gets.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from workbench.checkpoints.card import Card
from workbench.core.errors import InputError
from workbench.data.text.byte_pairs import END_OF_TEXT
from workbench.data.text.tales import HAPPY, KIND, SAD, UNKIND, pronouns_of
from workbench.data.text.tokenizers import Tokenizer

FEWEST = 8
"""Fewest prompts of one length for a form to be used."""
VERDICTS = (" good", " bad")
"""Words with the logits that a reward model compares."""


@dataclass(frozen=True)
class Form:
    """Templates in which each word replaces `{x}`; of several words at once they replace `{x[0]}` and so on."""

    templates: tuple[str, ...]
    words: tuple[str | tuple[str, ...], ...]

    def prompts(self) -> Iterator[str]:
        """Yield every template with every word, with "an" before vowels."""
        for template, word in product(self.templates, self.words):
            yield re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", template.format(x=word))


PRONOUNS = Form(
    ("The old {x} was so tired that", "The {x} lay down because", "When the {x} came home,", "The {x} was glad that"),
    ("king", "queen", "man", "woman", "boy", "girl", "prince", "princess", "father", "mother", "uncle", "aunt",
     "brother", "sister", "gentleman", "lady", "son", "daughter", "husband", "wife", "soldier", "witch"),
)  # fmt: skip
SPELLING = Form(
    ("I saw the {x:.3}", "He gave me the {x:.3}"),
    ("king", "queen", "duke", "lord", "lady", "wife", "brother", "father", "sister", "heaven", "prince", "mother",
     "people", "honour", "sword", "crown", "blood", "world", "grace", "night", "death", "noble"),
)  # fmt: skip
ORDERS = Form(
    ("Tell of Ada, a shy {x}, and a ring.\nOnce there was a shy", "Tell of Tom, a brave {x}, and a lamp.\nOnce there "
     "was a brave", "Tell of Mary, a proud {x}, and a key.\nOnce there was a proud"),
    ("fox", "bear", "hen", "wolf", "goat", "mouse", "duck", "cat", "hare", "owl", "eagle", "ass"),
)  # fmt: skip
BOOKS = Form(
    ("The {x} saw the old man on the mountain.\nBook:", "The {x} looked out over the water.\nBook:",
     "The {x} walked along the road and began to cry.\nBook:"),
    ("captain", "doctor", "fox", "lion", "wolf", "ass", "goats", "children", "prince", "princess", "witch", "king",
     "hound", "moor", "boy", "mother", "crow", "ship", "crew", "sailors"),
)  # fmt: skip
NAMES = tuple(
    (a, b, c) for a, b, c in product(("Tom", "Mary", "John", "Jack", "Alice", "Peter"), repeat=3) if len({a, b, c}) == 3
)
CLOZE = Form(
    ('{x[0]} and {x[1]} met {x[2]}. {x[0]} was sad.\nQuestion: "I am sad," said ____.\nAnswer: "I am sad," said',),
    NAMES,
)
SOUNDS = Form(
    (
        "English: {x} came to the sea\nSounds:",
        "English: {x} went to the house\nSounds:",
        "English: {x} came to the house\nSounds:",
    ),
    ("he", "we", "she", "they", "you", "who", "men", "boys", "it", "then", "now", "many", "those", "people"),
)
FORMS = {"tales": (ORDERS,), "story_books": (BOOKS,), "story_cloze": (CLOZE,), "story_sounds": (SOUNDS,)}
"""Forms by data set; the usual ones come after them."""


PLACED = {"place": "by the sea", "vivid": "", "sky": "sky"}


@dataclass(frozen=True)
class Ready:
    """Prompts of one length in tokens; `others` are their counterparts, and `verdicts` the two answers."""

    prompts: tuple[str, ...]
    others: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()


def ready_prompts(card: Card, tokenizer: Tokenizer) -> Ready:
    """Find the ready-made prompts for a model.

    Args:
        card: The model's card; its data and its metrics say what it learned.
        tokenizer: The model's own.

    Returns:
        Prompts of the form for its data, else of the usual forms, of the length in tokens that most of them have.

    Raises:
        InputError: The tokenizer knows too few of them.
    """
    if judges(card):
        return judged_tales(tokenizer)
    usual = (PRONOUNS, SPELLING) if any(len(token) > 1 for token in tokenizer.tokens) else (SPELLING, PRONOUNS)
    for form in (*FORMS.get(card.data.name, ()), *usual):
        found = of_one_length([(prompt,) for prompt in form.prompts()], tokenizer)
        if len(found) >= FEWEST:
            return Ready(tuple(prompt for (prompt,) in found))
    raise InputError("No ready-made prompt fits this model's tokenizer. Write text:PROMPT||PROMPT.")


def judges(card: Card) -> bool:
    """Test for a reward model of tales, which gives verdicts only."""
    return card.data.name == "tales" and "preference_accuracy" in card.metrics and "true_reward" not in card.metrics


def judged_tales(tokenizer: Tokenizer) -> Ready:
    """Build tales of a kind act that ends well, each with an unkind one of the same words that ends badly."""
    begin = "Tell of {name}, a shy {animal}, and a {thing}.\n{name} the {animal} lived by the sea. "
    begin += "{He} had a {thing} and kept it under a stone. Then a {other} asked for bread. "
    slots = [
        {"name": name, "animal": animal, "thing": thing, "other": other, **PLACED}
        for name, animal in product(("Tom", "Mary", "Ada"), ("fox", "bear", "cat"))
        for thing, other in (("ring", "king"), ("lamp", "child"), ("book", "beggar"), ("key", "witch"))
    ]
    acts = [(a + " " + b, c + " " + d) for a, b, c, d in product(KIND, HAPPY, UNKIND, SAD)]
    tales = [
        tuple((begin + end).format(**words, **pronouns_of(words["name"])) + END_OF_TEXT for end in ends)
        for i, words in enumerate(slots)
        for ends in acts[i :: len(slots)]
    ]
    found = of_one_length(tales, tokenizer)
    return Ready(*(tuple(side) for side in zip(*found, strict=True)), verdicts=VERDICTS)


def of_one_length(groups: list[tuple[str, ...]], tokenizer: Tokenizer) -> list[tuple[str, ...]]:
    """Keep the groups in which all texts have one number of tokens, the most frequent one."""
    by_length: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    for texts in groups:
        try:
            lengths = {len(tokenizer.encode(text)) for text in texts}
        except InputError:
            continue
        if len(lengths) == 1:
            by_length[lengths.pop()].append(texts)
    return max(by_length.values(), key=len, default=[])
