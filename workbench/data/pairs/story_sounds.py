"""Grapheme to phoneme in context: parts of sentences and the phonemes of their words.

A translation task with monotonic word order, whose target spellings never occur in the source.
"""

from __future__ import annotations

import re

import torch

from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.pairs.pronunciations import dictionary
from workbench.data.text.questions import Question, QuestionData

SENTENCE = re.compile(r"(?<=[.!?,;:])[\"']?\s+")
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
SHORTEST, LONGEST = 3, 8
"""Range of the number of words between punctuation marks."""
BETWEEN = " |"
N_TRAIN, N_VALIDATION, N_TEST = 40_000, 500, 1_000


@DATASETS.register("story_sounds")
def story_sounds() -> QuestionData:
    """Parts of sentences: from the training books of `english_stories` for training, else from the validation books."""
    stories, sounds = DATASETS["english_stories"](), dict(reversed(list(dictionary())))
    train = pronounce_sentences(stories.train, sounds, "train")[:N_TRAIN]
    known = {question.prompt for question in train}
    held = tuple(q for q in pronounce_sentences(stories.validation, sounds, "held") if q.prompt not in known)
    return QuestionData(
        "story_sounds",
        train,
        held[:N_VALIDATION],
        held[N_VALIDATION : N_VALIDATION + N_TEST],
        stories.source,
        stories.licence,
        f"{SHORTEST} to {LONGEST} words between marks, all in the CMU Pronouncing Dictionary, whose first "
        "pronunciation is the answer, without stress; split by book, and no sentence is in two splits.",
    )


def pronounce_sentences(text: str, sounds: dict[str, str], split: str) -> tuple[Question, ...]:
    """Return every distinct part of a sentence of the right length whose words are all known, in random order."""
    found = {}
    for part in SENTENCE.split(text.lower()):
        words = WORD.findall(part)
        if SHORTEST <= len(words) <= LONGEST and all(word in sounds for word in words):
            spoken = f"{BETWEEN} ".join(sounds[word] for word in words)
            found[" ".join(words)] = Question(f"English: {' '.join(words)}\nSounds:", f" {spoken}\n")
    asked = [found[words] for words in sorted(found)]
    order = torch.randperm(len(asked), generator=generator(0, "story sounds", split)).tolist()
    return tuple(asked[i] for i in order)
