"""Book identification: passages of forty words from six books that the language models were not trained on."""

from __future__ import annotations

from itertools import pairwise

from workbench.core.registry import DATASETS
from workbench.data.text.byte_pairs import END_OF_TEXT
from workbench.data.text.questions import Question, QuestionData

TITLES = (" Aesop", " Hound", " Mermaid", " Heidi", " Oz", " Treasure")
"""Titles of the validation books of `english_stories`, in order."""
WORDS = 40
APART = 4
"""Words between the starts of neighbouring training passages, which overlap; other passages do not."""
TRAIN, TEST = 0.7, 0.8
"""End of the training part and start of the test part, as shares of each book."""


@DATASETS.register("story_books")
def story_books() -> QuestionData:
    """The first 70 % of each book for training, the last 20 % for testing, the rest for validation."""
    stories = DATASETS["english_stories"]()
    books = [book for book in stories.validation.split(END_OF_TEXT) if book.strip()]
    splits: tuple[list[Question], ...] = [], [], []
    for title, book in zip(TITLES, books, strict=True):
        words = book.split()
        cuts = [0, *(round(share * len(words)) for share in (TRAIN, TEST)), len(words)]
        for split, (start, stop), apart in zip(splits, pairwise(cuts), (APART, WORDS, WORDS), strict=True):
            split += [Question(f"{text}\nBook:", title, TITLES) for text in split_passages(words[start:stop], apart)]
    note = f"{WORDS} words of one of six books, split by place in the book. The language model never saw these books."
    train, validation, test = map(tuple, splits)
    return QuestionData("story_books", train, validation, test, stories.source, stories.licence, note)


def split_passages(words: list[str], apart: int = WORDS) -> list[str]:
    """Cut words into passages of `WORDS`, starting every `apart` words; the remainder is dropped."""
    return [" ".join(words[i : i + WORDS]) for i in range(0, len(words) - WORDS + 1, apart)]
