"""Tests of attention pattern scores, on known patterns and the induction network."""

from __future__ import annotations

import pytest
import torch

from tests.zoo.small import small
from workbench.analysis.circuits.head_patterns import after_same_token, attended, before, head_patterns, same_token
from workbench.core.errors import ConfigError, UnknownNameError
from workbench.core.source_target import SourceTarget
from workbench.zoo.gpt import GPT, GPTConfig

TOKENS = torch.tensor([[5, 3, 5, 3, 5]])


def test_places_are_where_the_definitions_say() -> None:
    assert before(TOKENS)[0].nonzero().tolist() == [[1, 0], [2, 1], [3, 2], [4, 3]]
    assert same_token(TOKENS)[0].nonzero().tolist() == [[2, 0], [3, 1], [4, 0], [4, 2]]
    assert after_same_token(TOKENS)[0].nonzero().tolist() == [[2, 1], [3, 2], [4, 1], [4, 3]]


def test_a_token_right_after_itself_is_what_followed_it() -> None:
    """In "A A" the second A stands after the first one: the place to look at lies on the diagonal."""
    repeated = torch.tensor([[5, 5, 5, 3, 5]])
    assert after_same_token(repeated)[0].nonzero().tolist() == [[1, 1], [2, 1], [2, 2], [4, 1], [4, 2], [4, 3]]
    here = torch.eye(2)[None, None]
    assert attended(here, after_same_token(repeated[:, :2])).item() == 1


def test_a_head_that_looks_at_one_kind_of_places_alone_scores_one_there() -> None:
    n = TOKENS.shape[1]
    previous = torch.eye(n).roll(-1, dims=1).tril(-1)
    previous[0, 0] = 1
    uniform = torch.ones(n, n).tril() / torch.arange(1, n + 1)[:, None]
    pattern = torch.stack([previous, uniform])[None]
    assert attended(pattern, before(TOKENS)).tolist() == pytest.approx([1, sum(1 / k for k in (2, 3, 4, 5)) / 4])
    # From positions 2, 3 and 4 there are 1, 1 and 2 places, of 3, 4 and 5 that are seen.
    assert attended(pattern, same_token(TOKENS)).tolist() == pytest.approx([0, (1 / 3 + 1 / 4 + 2 / 5) / 3])


def test_what_no_position_has_is_not_a_number() -> None:
    scores = head_patterns(
        GPT(GPTConfig(d_vocab=9, n_ctx=4, n_layers=1, d_model=8, n_heads=2)).eval(), torch.arange(4)[None]
    )
    assert scores.of("previous").isfinite().all() and scores.of("duplicate").isnan().all()
    assert scores.above("duplicate", 0.0) == ()
    with pytest.raises(UnknownNameError, match="Did you mean 'induction'"):
        scores.of("inducton")


def test_of_two_sequences_each_is_scored_within_itself_and_padding_does_not_count() -> None:
    model = small("encoder_decoder")
    source, target = torch.tensor([[1, 2, 1, 10, 10]]), torch.tensor([[3, 4, 3, 3]])
    scores = head_patterns(model, SourceTarget(source, target))
    assert [name.partition(".hook_z")[0] for name in scores.heads[::2]] == [
        "encoder.blocks.0.attn", "encoder.blocks.1.attn", "decoder.blocks.0.attn", "decoder.blocks.1.attn",
    ]  # fmt: skip
    pattern = model.cache(SourceTarget(source, target), "encoder.blocks.0.attn.hook_pattern")
    given = pattern["encoder.blocks.0.attn.hook_pattern"][0]
    assert scores.of("duplicate")[:2].tolist() == pytest.approx(given[:, 2, 0].tolist())
    assert scores.of("previous")[:2].tolist() == pytest.approx(given[:, [1, 2], [0, 1]].mean(dim=1).tolist())


def test_a_model_without_sequences_is_refused() -> None:
    model = small("mlp")
    with pytest.raises(ConfigError, match="an axis 'head', and MLPClassifier has none"):
        head_patterns(model, model.example(2))
