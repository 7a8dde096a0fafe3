"""Tests of tokenizers read from Hugging Face's `tokenizer.json`, and errors for unsupported ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from workbench.core.errors import ConfigError, InputError
from workbench.data.text.byte_pairs import BytePairTokenizer, train_bpe

TEXT = "the cat sat on the mat, the cat ate the rat\n" * 20
PLAIN = train_bpe(TEXT, 270)


def changed(**parts: Any) -> BytePairTokenizer:
    return BytePairTokenizer(json.dumps(json.loads(PLAIN.definition) | parts))


def theirs() -> Tokenizer:
    return Tokenizer.from_str(PLAIN.definition)


def test_truncation_and_padding_left_on_when_it_was_saved_are_switched_off() -> None:
    saved = theirs()
    saved.enable_truncation(max_length=4)
    saved.enable_padding(length=64)
    tokenizer = BytePairTokenizer(saved.to_str())
    assert tokenizer.encode(TEXT).equal(PLAIN.encode(TEXT))
    assert tokenizer.encode("the cat").equal(PLAIN.encode("the cat"))


def test_a_post_processor_adds_no_token() -> None:
    saved = theirs()
    saved.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    assert BytePairTokenizer(saved.to_str()).encode("the cat").equal(PLAIN.encode("the cat"))


def test_dropout_of_merges_is_switched_off() -> None:
    model = json.loads(PLAIN.definition)["model"] | {"dropout": 0.9}
    assert all(changed(model=model).encode(TEXT).equal(PLAIN.encode(TEXT)) for _ in range(3))


def test_a_text_that_a_normalizer_or_a_prefix_space_would_change_is_refused() -> None:
    saved = theirs()
    saved.normalizer = normalizers.Lowercase()
    lower = BytePairTokenizer(saved.to_str())
    assert lower.encode("the cat").equal(PLAIN.encode("the cat"))
    with pytest.raises(InputError, match="'The Cat' to 'the cat'"):
        lower.encode("The Cat")
    spaced = theirs()
    spaced.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    with pytest.raises(InputError, match="to ' the cat'"):
        BytePairTokenizer(spaced.to_str()).encode("the cat")


def test_an_added_token_that_swallows_spaces_is_refused_where_it_does() -> None:
    saved = theirs()
    saved.add_tokens([AddedToken("<gap>", lstrip=True, rstrip=True), AddedToken("two words")])
    tokenizer = BytePairTokenizer(saved.to_str())
    assert tokenizer.tokens[-2:] == ["<gap>", "two words"]
    assert tokenizer.decode(tokenizer.encode("a<gap>b two words")) == "a<gap>b two words"
    with pytest.raises(InputError, match="changes the text"):
        tokenizer.encode("a <gap> b")


def test_characters_that_are_in_no_token_are_not_dropped_unseen() -> None:
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer, pairs.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    pairs.train_from_iterator(["abc"], trainers.BpeTrainer(vocab_size=10, show_progress=False))
    tokenizer = BytePairTokenizer(pairs.to_str())
    assert tokenizer.decode(tokenizer.encode("abc")) == "abc"
    with pytest.raises(InputError, match="'abxc' to 'abc'"):
        tokenizer.encode("abxc")


def test_other_schemes_and_ids_with_gaps_are_refused() -> None:
    for other in (models.WordPiece({"a": 0}, unk_token="a"), models.Unigram(), models.WordLevel({"a": 0}, "a")):
        with pytest.raises(ConfigError, match="byte-level"):
            BytePairTokenizer(Tokenizer(other).to_str()).encode("a")
    with pytest.raises(ConfigError, match="byte-level"):
        changed(pre_tokenizer=None, decoder=None).encode("a")
    gap = {"id": 300, "content": "<x>", "special": True, "single_word": False, "lstrip": False, "rstrip": False}
    with pytest.raises(ConfigError, match="leave out 270"):
        changed(added_tokens=[*json.loads(PLAIN.definition)["added_tokens"], gap | {"normalized": False}]).encode("a")
