"""Which book is it from: passages of twenty words of six books that no language model here was trained on."""

from __future__ import annotations

from workbench.core.registry import DATASETS
from workbench.data.questions import Question, QuestionData
from workbench.data.tokenizers import END_OF_TEXT

TITLES = (" Aesop", " Hound", " Mermaid", " Heidi", " Oz", " Treasure")
"""Of the validation books of `english_stories`, in their order."""
WORDS = 20
TRAIN, TEST = 0.7, 0.8
"""Where in each book training ends, and where the part to test begins."""


@DATASETS.register("story_books")
def story_books() -> QuestionData:
    """The first 70 % of each book to train on, the last 20 % to test, what lies between to choose settings by."""
    stories = DATASETS["english_stories"]()
    books = [book for book in stories.validation.split(END_OF_TEXT) if book.strip()]
    splits: tuple[list[Question], ...] = [], [], []
    for title, book in zip(TITLES, books, strict=True):
        asked = [Question(f"{passage}\nBook:", title, TITLES) for passage in passages(book)]
        cuts = [round(share * len(asked)) for share in (TRAIN, TEST)]
        for split, part in zip(splits, (asked[: cuts[0]], asked[cuts[0] : cuts[1]], asked[cuts[1] :]), strict=True):
            split.extend(part)
    note = f"{WORDS} words of one of six books, split by place in the book. The language model never saw these books."
    train, validation, test = map(tuple, splits)
    return QuestionData("story_books", train, validation, test, stories.source, stories.licence, note)


def passages(book: str) -> list[str]:
    """A text cut every so many words; what is left over at its end is dropped."""
    words = book.split()
    return [" ".join(words[i : i + WORDS]) for i in range(0, len(words) - WORDS + 1, WORDS)]
