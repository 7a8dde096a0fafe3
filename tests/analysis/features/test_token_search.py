"""Tests of the parts of the token search against values computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from tests.zoo.small import small
from workbench.analysis.features.search import Search
from workbench.analysis.features.target import make_target
from workbench.analysis.features.token_search import TokenObjective, embedding_tables, fluency_weights, search_tokens
from workbench.core.errors import InputError
from workbench.core.progress import silent


def search(hook: str, fluent: bool = False) -> Search:
    model = small("gpt")
    tokens = model.example(6)
    target = make_target(model, tokens, hook, "channel")
    return Search(target, tokens, target.values(tokens).detach(), (0, 1), steps=12, seed=0, fluent=fluent)


def worth(asked: Search, tokens: torch.Tensor) -> torch.Tensor:
    """A unit's activation, and a deviation of it for each nat of the text's mean log probability."""
    with torch.no_grad():
        logp = asked.target.model(tokens).log_softmax(dim=-1)
        mean = torch.stack([logp[:, i].gather(1, tokens[:, i + 1, None])[:, 0] for i in range(tokens.shape[1] - 1)])
        activation = asked.target.values(tokens).diagonal()
    spread = asked.natural[:, : len(asked.units)].var(dim=0, correction=0).sqrt()
    return activation + spread * mean.mean(dim=0)


def test_what_is_climbed_is_the_activation_and_the_likelihood_in_deviations() -> None:
    asked = search("blocks.1.mlp.hook_post", fluent=True)
    climb = TokenObjective(asked, embedding_tables(asked.target.model), fluency_weights(asked))
    tokens = asked.reference[:2]
    assert_close(climb.exact(tokens, torch.tensor([0, 1])).drive, worth(asked, tokens))


def test_fluent_text_is_worth_more_than_the_best_natural_example() -> None:
    asked = search("blocks.1.mlp.hook_post", fluent=True)
    found = search_tokens(asked, silent)
    assert bool((worth(asked, found.inputs) > worth(asked, asked.best)).all())


def test_the_promise_of_a_swap_is_kept_exactly_where_the_unit_is_linear_in_the_tokens() -> None:
    asked = search("hook_embed")
    climb = TokenObjective(asked, embedding_tables(asked.target.model), fluency_weights(asked))
    tokens, place = asked.reference[:2], torch.tensor([0, 1])
    promise, before = climb.promise(tokens, place), climb.exact(tokens, place).value
    swapped = tokens.clone()
    swapped[:, 3] = (tokens[:, 3] + 4) % climb.vocab
    gained = climb.exact(swapped, place).value - before
    assert_close(promise[torch.arange(2), 3, swapped[:, 3]], gained)
    assert bool((promise.gather(2, tokens[..., None]) == -torch.inf).all())


def test_a_text_of_one_token_cannot_be_fluent() -> None:
    asked = search("hook_embed", fluent=True)
    with pytest.raises(InputError, match="at least two tokens"):
        fluency_weights(replace(asked, reference=asked.reference[:, :1]))


def test_a_model_without_a_table_of_tokens_is_refused() -> None:
    with pytest.raises(InputError, match="W_E"):
        embedding_tables(small("mlp"))
