"""Tests of sampling filters against their definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import ConfigError
from workbench.zoo.layers.sampling import SamplingConfig, draw, filter_logits


@given(st.integers(1, 6), st.integers(0, 100))
def test_top_k_keeps_the_k_likeliest(k: int, seed: int) -> None:
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(seed))
    kept = filter_logits(logits, SamplingConfig(top_k=k)).isfinite()
    assert kept.sum(-1).eq(k).all()
    assert (logits.masked_fill(~kept, torch.inf).amin(-1) >= logits.masked_fill(kept, -torch.inf).amax(-1)).all()


@given(st.floats(0.05, 1.0), st.integers(0, 100))
def test_top_p_keeps_the_smallest_set_that_reaches_p(p: float, seed: int) -> None:
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(seed)).double()
    kept = filter_logits(logits, SamplingConfig(top_p=p)).isfinite()
    probability = logits.softmax(-1)
    mass = (probability * kept).sum(-1)
    smallest = probability.masked_fill(~kept, torch.inf).amin(-1)
    assert (mass >= p - 1e-9).all() and (mass - smallest < p).all()


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(20_000, 3)
    tokens = draw(logits, SamplingConfig(), torch.Generator().manual_seed(0))
    assert torch.allclose(torch.bincount(tokens) / 20_000, torch.tensor([0.5, 0.3, 0.2]), atol=0.02)


@pytest.mark.parametrize("bad", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}])
def test_impossible_choices_are_refused(bad: dict) -> None:
    with pytest.raises(ConfigError):
        SamplingConfig(**bad)
