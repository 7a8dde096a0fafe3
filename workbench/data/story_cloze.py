"""Who is it: a sentence of a story with a name left out, to be found among those of the sentences before it.

After the Children's Book Test (Hill et al. 2016), with shorter contexts. The answer begins as the sentence does, so
that the name comes where a model of language expects one.
"""

from __future__ import annotations

import re
from collections import Counter

import torch

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.questions import Question, QuestionData
from workbench.data.tokenizers import END_OF_TEXT

SENTENCE = re.compile(r"(?<=[.!?])[\"']?\s+")
INSIDE = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}\b")
"""A word with a capital that does not begin a sentence."""
GAP = "____"
LONGEST = 400
"""Characters of the sentences before the gap, at most."""
FEWEST = 3
"""Names to choose from, at least."""
OFTEN = 5
"""How often a name occurs in its book, at least."""
PER_BOOK, PER_TEST_BOOK = 200, 400
VALIDATION_BOOKS = 6


@DATASETS.register("story_cloze")
def story_cloze() -> QuestionData:
    """Training books of `english_stories` (the last six for choosing settings), and validation books to test."""
    stories = DATASETS["english_stories"]()
    books = [book for book in stories.train.split(END_OF_TEXT) if book.strip()]
    held = [book for book in stories.validation.split(END_OF_TEXT) if book.strip()]
    train, validation = books[:-VALIDATION_BOOKS], books[-VALIDATION_BOOKS:]
    splits = (drawn(train, PER_BOOK), drawn(validation, PER_BOOK), drawn(held, PER_TEST_BOOK))
    note = f"Split by book; 3 names or more to choose from, in up to {LONGEST} characters before the gap."
    return QuestionData("story_cloze", *splits, stories.source, stories.licence, note)


def drawn(books: list[str], most: int) -> tuple[Question, ...]:
    """Of each book as many questions as are wanted, at random."""
    chosen: list[Question] = []
    for book in books:
        asked = questions_of(book)
        order = torch.randperm(len(asked), generator=generator(0, "story cloze", book[:100]))
        chosen += [asked[i] for i in order[:most].tolist()]
    return tuple(chosen)


def names_of(book: str) -> set[str]:
    """The words that are written with a capital inside sentences, often, and never without."""
    counts = Counter(INSIDE.findall(book))
    plain = set(re.findall(r"\b[a-z]{3,}\b", book))
    return {name for name, n in counts.items() if n >= OFTEN and name.lower() not in plain}


def questions_of(book: str) -> list[Question]:
    """Every sentence with one name that a few sentences before it have too, among other names."""
    names, sentences = names_of(book), [" ".join(s.split()) for s in SENTENCE.split(book)]
    found = []
    for place, sentence in enumerate(sentences):
        inside = [word for word in re.findall(r"[A-Za-z]+", sentence) if word in names]
        before = context(sentences[:place][-20:])
        choices = sorted({word for word in re.findall(r"[A-Za-z]+", before) if word in names})
        if len(inside) == 1 and inside[0] in choices and len(choices) >= FEWEST and len(sentence) <= LONGEST // 2:
            gapped = re.sub(rf"\b{inside[0]}\b", GAP, sentence)
            prompt = f"{before}\nQuestion: {gapped}\nAnswer: {gapped.partition(GAP)[0]}".rstrip()
            found.append(Question(prompt, f" {inside[0]}", tuple(f" {name}" for name in choices)))
    return found


def context(sentences: list[str]) -> str:
    """The last sentences that fit together."""
    text = ""
    for sentence in reversed(sentences):
        if len(text) + len(sentence) + 1 > LONGEST:
            break
        text = f"{sentence} {text}".strip()
    return text
