"""Tests of input texts: parsing and printing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.core.registry import MODALITIES
from workbench.experiments.inputs.language import Draws, Files, Inputs, Rows, Seed, Steps, Texts, all_sources
from workbench.experiments.inputs.reading import identity, rows_of
from workbench.experiments.modalities.image import IMAGE
from workbench.experiments.modalities.latent import Walk
from workbench.experiments.modalities.rows import FileRows, Vectors

NUMBER = st.integers(0, 2**32 - 1)
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0|"), min_size=1)
RANGE = st.builds(Rows, NUMBER, st.none() | NUMBER)
SELECTIONS: dict[str, Any] = {
    "test": RANGE | st.builds(Rows, NUMBER, st.none() | NUMBER, st.from_regex("[^:]+", fullmatch=True)),
    "train": st.builds(Rows, NUMBER, NUMBER, st.just(""), NUMBER),
    "prompts": RANGE,
    "text": st.builds(Texts, st.lists(WORD, min_size=1).map(tuple)),
    "file": st.builds(Files, st.lists(WORD, min_size=1).map(tuple)),
    "rollout": st.builds(Steps, NUMBER, NUMBER, st.none() | NUMBER),
    "explored": st.builds(Draws, NUMBER, NUMBER),
    "other": st.builds(Seed, NUMBER),
    "walk": st.builds(Walk, NUMBER, NUMBER),
    "rows": st.builds(FileRows, WORD.map(lambda word: f"{word}.csv"), RANGE),
    "numbers": st.builds(
        Vectors, st.lists(st.lists(st.floats(-1e9, 1e9), min_size=1).map(tuple), min_size=1).map(tuple)
    ),
}


@given(st.sampled_from(sorted(SELECTIONS)).flatmap(lambda name: st.tuples(st.just(name), SELECTIONS[name])))
def test_parsing_inverts_printing(named: tuple[str, Any]) -> None:
    inputs = Inputs(*named)
    assert Inputs.parse(str(inputs)) == inputs


@pytest.mark.parametrize(
    "text", ["test:0:16", "test:3", "test:class=dog:3:6", "train:known=2:0:", "rollout:7:3:5", "other:0",
             "text:a||b: c", "file:C:\\a.png", "rows:/a.csv:0:4", "numbers:0.5,-1"]
)  # fmt: skip
def test_canonical_texts_are_printed_as_they_were_written(text: str) -> None:
    assert str(Inputs.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("test", "does not say which inputs. Write test:0:16"),
        ("test:1:2:3", "no range of rows. Write test:0:16"),
        ("rollout:x:3", "cannot be read. Write rollout:SEED:N"),
        (f"other:{2**32}", "The seed 4294967296 of 'other' is too large"),
        ("trian:0:16", "No source of inputs named 'trian'. Did you mean 'train'"),
        ("text:\0", "no text has"),
        ("numbers:1,nan", "cannot be read. Write numbers:"),
        ("rows:a.txt", "cannot be read. Write rows:"),
    ],
)
def test_texts_of_another_form_are_refused_with_the_right_one(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Inputs.parse(text)
    assert Inputs.try_parse(text) is None and rows_of(text) is None and identity(text) == text


def test_the_number_of_examples_is_known_before_anything_is_read() -> None:
    asked = {"test:0:16": 16, "test:3": 1, "test:3:": None, "text:a||b": 2, "rollout:0:8": 8, "rollout:0:8:11": 3,
             "walk:0:1": 9, "other:0": None, "": 0, "rows:a.csv": None, "rows:a.csv:2:5": 3,
             "numbers:1||2": 2}  # fmt: skip
    assert {text: rows_of(text) for text in asked} == asked


def test_a_source_has_one_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    rival = replace(IMAGE, name="rival", sources=(replace(IMAGE.sources[0], selection=Seed),))
    monkeypatch.setitem(MODALITIES._items, "rival", rival)
    with pytest.raises(ConfigError, match="'rival' reads the selection of 'test' as Seed, another one as Rows"):
        all_sources()


def test_an_unknown_modality_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="No modality named 'imgae'. Did you mean 'image'"):
        MODALITIES["imgae"]
