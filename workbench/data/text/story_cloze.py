"""Name cloze: a sentence with a name left out, to be chosen among the names of the preceding sentences.

After the Children's Book Test (Hill et al. 2016), with shorter contexts. The answer repeats the sentence up to the gap,
so that the name is the next token of natural text.
"""

from __future__ import annotations

import re
from collections import Counter

import torch

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.text.byte_pairs import END_OF_TEXT
from workbench.data.text.questions import Question, QuestionData

SENTENCE = re.compile(r"(?<=[.!?])[\"']?\s+")
INSIDE = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}\b")
"""A capitalised word that does not start a sentence."""
GAP = "____"
LONGEST = 400
"""Maximum length of the sentences before the gap, in characters."""
FEWEST = 3
"""Minimum number of names to choose from."""
OFTEN = 5
"""Minimum number of occurrences of a name in its book."""
PER_BOOK, PER_TEST_BOOK = 200, 400
VALIDATION_BOOKS = 6


@DATASETS.register("story_cloze")
def story_cloze() -> QuestionData:
    """Questions on the training books of `english_stories` for training and validation, on the others for testing."""
    stories = DATASETS["english_stories"]()
    books = [book for book in stories.train.split(END_OF_TEXT) if book.strip()]
    held = [book for book in stories.validation.split(END_OF_TEXT) if book.strip()]
    train, validation = books[:-VALIDATION_BOOKS], books[-VALIDATION_BOOKS:]
    splits = (
        sample_questions(train, PER_BOOK),
        sample_questions(validation, PER_BOOK),
        sample_questions(held, PER_TEST_BOOK),
    )
    note = f"Split by book; 3 names or more to choose from, in up to {LONGEST} characters before the gap."
    return QuestionData("story_cloze", *splits, stories.source, stories.licence, note)


def sample_questions(books: list[str], most: int) -> tuple[Question, ...]:
    """Sample up to `most` questions per book."""
    chosen: list[Question] = []
    for book in books:
        asked = make_questions(book)
        order = torch.randperm(len(asked), generator=generator(0, "story cloze", book[:100]))
        chosen += [asked[i] for i in order[:most].tolist()]
    return tuple(chosen)


def find_names(book: str) -> set[str]:
    """Return the words that are frequently capitalised inside sentences and never written in lower case."""
    counts = Counter(INSIDE.findall(book))
    plain = set(re.findall(r"\b[a-z]{3,}\b", book))
    return {name for name, n in counts.items() if n >= OFTEN and name.lower() not in plain}


def make_questions(book: str) -> list[Question]:
    """Make a question of every sentence with exactly one name that occurs in its context among other names."""
    names, sentences = find_names(book), [" ".join(s.split()) for s in SENTENCE.split(book)]
    found = []
    for place, sentence in enumerate(sentences):
        inside = [word for word in re.findall(r"[A-Za-z]+", sentence) if word in names]
        before = last_sentences(sentences[:place][-20:])
        choices = sorted({word for word in re.findall(r"[A-Za-z]+", before) if word in names})
        if len(inside) == 1 and inside[0] in choices and len(choices) >= FEWEST and len(sentence) <= LONGEST // 2:
            gapped = re.sub(rf"\b{inside[0]}\b", GAP, sentence)
            prompt = f"{before}\nQuestion: {gapped}\nAnswer: {gapped.partition(GAP)[0]}".rstrip()
            found.append(Question(prompt, f" {inside[0]}", tuple(f" {name}" for name in choices)))
    return found


def last_sentences(sentences: list[str]) -> str:
    """Join the last sentences that fit into `LONGEST` characters."""
    text = ""
    for sentence in reversed(sentences):
        if len(text) + len(sentence) + 1 > LONGEST:
            break
        text = f"{sentence} {text}".strip()
    return text
