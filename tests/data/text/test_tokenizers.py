"""Tests of character, byte and byte-pair tokenizers: round trips and errors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import CheckpointError, ConfigError, InputError
from workbench.data.text.byte_pairs import byte_of_stand_in, train_bpe
from workbench.data.text.tokenizers import ByteTokenizer, CharacterTokenizer, Tokenizer, character_tokenizer, from_json

TEXT = "the cat sat on the mat, the cat ate the rat\n" * 20
TOKENIZERS: list[Tokenizer] = [character_tokenizer(TEXT), ByteTokenizer(), train_bpe(TEXT, 270)]
TAKES_ANYTHING = TOKENIZERS[1:]
KINDS = ["character", "byte", "byte pair"]
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=KINDS)
@given(text=st.text(sorted(set(TEXT)), min_size=1))
def test_decoding_gives_the_text_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids.dtype == torch.int64
    assert tokenizer.decode(ids) == tokenizer.decode(ids.tolist()) == text
    assert "".join(tokenizer.tokens[i] for i in ids) == text


@pytest.mark.parametrize("tokenizer", TAKES_ANYTHING, ids=KINDS[1:])
@given(text=unicode_text)
def test_bytes_take_any_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=unicode_text)
def test_byte_ids_are_the_bytes_of_utf_8(text: str) -> None:
    assert bytes(ByteTokenizer().encode(text).tolist()) == text.encode()


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=KINDS)
def test_json_gives_the_same_tokenizer_back(tokenizer: Tokenizer) -> None:
    again = from_json(tokenizer.to_json())
    assert again.tokens == tokenizer.tokens
    assert len(again.tokens) == again.vocab_size
    assert torch.equal(again.encode("the rat"), tokenizer.encode("the rat"))


def test_byte_pairs_are_the_same_for_the_same_text_and_shorter_than_bytes() -> None:
    assert train_bpe(TEXT, 270) == TOKENIZERS[2]
    assert TOKENIZERS[2].vocab_size == 270
    assert len(TOKENIZERS[2].encode(TEXT)) < len(TEXT) / 2


def test_the_most_frequent_pair_is_merged_first() -> None:
    assert train_bpe("ab ab ab cd", 258).tokens[-1] == "ab"


def test_the_end_of_a_text_is_one_token_and_is_decoded() -> None:
    ids = TOKENIZERS[2].encode("a<|endoftext|>b")
    assert len(ids) == 3
    assert TOKENIZERS[2].tokens[ids[1]] == TOKENIZERS[2].decode(ids[1:2]) == "<|endoftext|>"


def test_every_byte_has_its_own_stand_in() -> None:
    assert sorted(byte_of_stand_in().values()) == list(range(256))
    assert byte_of_stand_in()["Ġ"] == ord(" ")  # the mark of GPT-2's vocabulary


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("the Cat", "'C' at position 4 .*Write 'c' instead"),
        ("thé", "'é' at position 2 .*Write 'e' instead"),
        ("the 中", "'中' at position 4 .*Use only these 13"),
    ],
)
def test_an_unknown_character_is_named_with_its_place_and_a_way_out(prompt: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TOKENIZERS[0].encode(prompt)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=KINDS)
def test_an_empty_prompt_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="empty"):
        tokenizer.encode("")


@pytest.mark.parametrize("tokenizer", TAKES_ANYTHING, ids=KINDS[1:])
def test_half_a_surrogate_pair_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="position 1 is half of a surrogate pair"):
        tokenizer.encode("a\ud800")


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=KINDS)
@pytest.mark.parametrize("bad", [-1, 999])
def test_an_unknown_id_is_named_with_its_place_and_the_range(tokenizer: Tokenizer, bad: int) -> None:
    with pytest.raises(InputError, match=rf"id {bad} \(position 1\).*0 to {tokenizer.vocab_size - 1}"):
        tokenizer.decode([0, bad])


@pytest.mark.parametrize(
    "stored", ["", "[]", "{}", '{"kind": "word"}', '{"kind": "character"}', '{"kind": "byte_pair"}']
)
def test_what_is_no_stored_tokenizer_is_refused(stored: str) -> None:
    with pytest.raises(CheckpointError, match="tokenizer"):
        from_json(stored)


@pytest.mark.parametrize("vocab", [(), ("a", "a"), ("ab",)])
def test_a_vocabulary_of_something_else_than_distinct_characters_is_refused(vocab: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="character"):
        CharacterTokenizer(vocab)


def test_a_vocabulary_too_small_for_the_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match="256 bytes"):
        train_bpe(TEXT, 256)
