"""Which book is it from: passages of forty words of six books that no language model here was trained on."""

from __future__ import annotations

from itertools import pairwise

from workbench.core.registry import DATASETS
from workbench.data.questions import Question, QuestionData
from workbench.data.tokenizers import END_OF_TEXT

TITLES = (" Aesop", " Hound", " Mermaid", " Heidi", " Oz", " Treasure")
"""Of the validation books of `english_stories`, in their order."""
WORDS = 40
APART = 4
"""Words between the beginnings of two passages to train on, which overlap; those to judge by follow each other."""
TRAIN, TEST = 0.7, 0.8
"""Where in each book training ends, and where the part to test begins."""


@DATASETS.register("story_books")
def story_books() -> QuestionData:
    """The first 70 % of each book to train on, the last 20 % to test, what lies between to choose settings by."""
    stories = DATASETS["english_stories"]()
    books = [book for book in stories.validation.split(END_OF_TEXT) if book.strip()]
    splits: tuple[list[Question], ...] = [], [], []
    for title, book in zip(TITLES, books, strict=True):
        words = book.split()
        cuts = [0, *(round(share * len(words)) for share in (TRAIN, TEST)), len(words)]
        for split, (start, stop), apart in zip(splits, pairwise(cuts), (APART, WORDS, WORDS), strict=True):
            split += [Question(f"{text}\nBook:", title, TITLES) for text in passages(words[start:stop], apart)]
    note = f"{WORDS} words of one of six books, split by place in the book. The language model never saw these books."
    train, validation, test = map(tuple, splits)
    return QuestionData("story_books", train, validation, test, stories.source, stories.licence, note)


def passages(words: list[str], apart: int = WORDS) -> list[str]:
    """So many words each, one beginning `apart` words after the other; what is left over at the end is dropped."""
    return [" ".join(words[i : i + WORDS]) for i in range(0, len(words) - WORDS + 1, apart)]
