"""Tests of pairs of sequences: one vocabulary for both, and batches of similar lengths."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.data.pairs.pair_data import encode_pairs, length_batches, lengths, shift_targets, trim
from workbench.data.pairs.pair_tokenizer import PairTokenizer
from workbench.data.tasks.sequences import UNSCORED
from workbench.data.text.tokenizers import from_json

SPEAKING = PairTokenizer(tuple("abc"), ("AA", "B", "K"))
SHARING = PairTokenizer(tuple("ab1"), tuple("12-"), joined=True)
words = st.lists(st.tuples(st.text("abc", min_size=1, max_size=9), st.lists(st.sampled_from(["AA", "B", "K"]))))


@pytest.mark.parametrize("tokenizer", [SPEAKING, SHARING])
def test_a_tokenizer_comes_back_from_its_json(tokenizer: PairTokenizer) -> None:
    assert from_json(tokenizer.to_json()) == tokenizer


def test_what_both_sides_use_is_one_token_and_the_first_three_are_padding_start_and_end() -> None:
    assert SHARING.tokens == ["_", "^", "$", "a", "b", "1", "2", "-"]
    assert SHARING.source_ids("b1") == [4, 5] and SHARING.target_ids("1-") == [1, 5, 7]


@given(texts=words.filter(bool))
def test_pairs_are_written_as_they_were_given(texts: list[tuple[str, list[str]]]) -> None:
    pairs = encode_pairs([(source, " ".join(target)) for source, target in texts], SPEAKING)
    for row, (source, target) in enumerate(texts):
        assert SPEAKING.decode(pairs.source[row]) == source
        assert SPEAKING.decode(pairs.target[row]) == " ".join(target)
        assert int(lengths(pairs.target, 0)[row]) == len(target) + 2


def test_what_is_unknown_or_empty_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="No character named 'x' .place 1."):
        SPEAKING.source_ids("axb")
    with pytest.raises(UnknownNameError, match="Did you mean 'AA'"):
        SPEAKING.target_ids("K AAA")
    with pytest.raises(InputError, match="source is empty"):
        SPEAKING.encode("")
    with pytest.raises(InputError, match="Token id 99 is out of range"):
        SPEAKING.decode([3, 99])
    with pytest.raises(ConfigError, match="without duplicates"):
        PairTokenizer(("a", "a"), ("B",))


def test_what_follows_each_token_is_scored_and_padding_is_not() -> None:
    inputs, wanted = shift_targets(encode_pairs([("ab", "AA B"), ("c", "K")], SPEAKING), pad=0)
    assert inputs.target.tolist() == [[1, 6, 7], [1, 8, 2]]
    assert wanted.tolist() == [[6, 7, 2], [8, 2, UNSCORED]]
    narrow = trim(encode_pairs([("ab", "AA B"), ("c", "K")], SPEAKING)[1:], pad=0)
    assert narrow.source.tolist() == [[5]] and narrow.target.tolist() == [[1, 8, 2]]


def test_an_epoch_has_every_row_once_and_a_batch_rows_of_like_lengths() -> None:
    texts = [("a" * (1 + n % 4) + "b" * (n // 4 % 3), "K " * (1 + n % 2)) for n in range(48)]
    pairs = encode_pairs(texts, SPEAKING)
    batch = length_batches(pairs, 0, 8, seed=0)
    seen = [SPEAKING.decode(row) for step in range(6) for row in batch(step)[0].source]
    assert sorted(seen) == sorted(source for source, _ in texts)
    spread = [lengths(batch(step)[0].source, 0) for step in range(6)]
    assert max(int(size.max() - size.min()) for size in spread) <= 1
    again, other = length_batches(pairs, 0, 8, seed=0), length_batches(pairs, 0, 8, seed=1)
    assert torch.equal(again(9)[1], batch(9)[1])
    assert any(not torch.equal(batch(step)[0].source, other(step)[0].source) for step in range(6))
    with pytest.raises(ConfigError, match="Choose 1 to 48"):
        length_batches(pairs, 0, 49, seed=0)
