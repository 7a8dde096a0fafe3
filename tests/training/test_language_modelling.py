"""Tests of language-model losses, validation windows and bits per byte."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from workbench.core.errors import ConfigError, DataError
from workbench.training.fit_config import FitConfig
from workbench.training.language_modelling import language_metrics, next_token_loss, train_language_model


class Bigram(nn.Module):
    """Logits of the next token from the present one."""

    def __init__(self, n_tokens: int, seed: int = 0) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(torch.randn(n_tokens, n_tokens, generator=rng))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.table[tokens]


class Uniform(nn.Module):
    """Knows nothing, and notes the windows it was given."""

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.n_tokens, self.windows = n_tokens, []

    def forward(self, tokens: Tensor) -> Tensor:
        self.windows += tokens.tolist()
        return torch.zeros(*tokens.shape, self.n_tokens)


@given(length=st.integers(2, 40), context=st.integers(1, 50), batch_size=st.integers(1, 4))
def test_every_token_but_the_first_is_predicted_once(length: int, context: int, batch_size: int) -> None:
    model, tokens = Uniform(64), torch.arange(length)
    metrics = language_metrics(model, tokens, context, length, batch_size)
    assert metrics["validation_loss"]["n"] == length - 1
    assert [t for window in model.windows for t in window] == list(range(length - 1))
    assert all(len(window) == context for window in model.windows[:-1])


class Reach(nn.Module):
    """Logits that depend on how many tokens of the window came before: a token is the likelier for it."""

    def forward(self, tokens: Tensor) -> Tensor:
        seen = torch.arange(tokens.shape[1]).expand_as(tokens)
        return torch.stack([torch.zeros_like(seen), -seen], dim=-1).float()


@given(length=st.integers(2, 40), context=st.integers(1, 12), overlap=st.integers(0, 11), batch_size=st.integers(1, 4))
def test_overlapping_windows_predict_each_token_once_from_more_of_the_text(
    length: int, context: int, overlap: int, batch_size: int
) -> None:
    overlap = min(overlap, context - 1)
    reach = [i if i < context else overlap + (i - context) % (context - overlap) for i in range(length - 1)]
    metric = language_metrics(Reach(), torch.zeros(length, dtype=torch.long), context, 9, batch_size, overlap=overlap)
    assert metric["validation_loss"]["n"] == length - 1
    expected = sum(math.log1p(math.exp(-seen)) for seen in reach) / len(reach)
    assert metric["validation_loss"]["value"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("overlap", [-1, 4])
def test_windows_cannot_overlap_by_all_they_hold(overlap: int) -> None:
    with pytest.raises(ConfigError, match=f"4 tokens cannot overlap by {overlap}. Choose 0 to 3"):
        language_metrics(Uniform(3), torch.arange(9), 4, 9, overlap=overlap)


@given(context=st.integers(1, 50), batch_size=st.integers(1, 4))
def test_the_loss_of_a_bigram_model_does_not_depend_on_the_windows(context: int, batch_size: int) -> None:
    model = Bigram(5)
    tokens = torch.randint(5, (41,), generator=torch.Generator().manual_seed(1))
    logp = model.table.log_softmax(dim=1)
    expected = -sum(logp[a, b].item() for a, b in pairwise(tokens.tolist())) / 40
    found = language_metrics(model, tokens, context, 41, batch_size)["validation_loss"]["value"]
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_model_that_knows_nothing_of_bytes_needs_eight_bits_for_each() -> None:
    metrics = language_metrics(Uniform(256), torch.arange(100), 10, n_bytes=100)
    assert metrics["validation_loss"]["value"] == pytest.approx(math.log(256))
    assert metrics["bits_per_byte"]["value"] == pytest.approx(8)


def test_bits_per_byte_does_not_depend_on_how_bytes_are_grouped_into_tokens() -> None:
    pairs = language_metrics(Uniform(256**2), torch.arange(50), 5, n_bytes=100)
    assert pairs["bits_per_byte"]["value"] == pytest.approx(8)


def test_the_interval_surrounds_the_loss_and_needs_two_windows() -> None:
    tokens = torch.randint(5, (41,), generator=torch.Generator().manual_seed(1))
    metrics = language_metrics(Bigram(5), tokens, 7, 41)
    low, high = metrics["validation_loss"]["interval"]
    assert (low + high) / 2 == pytest.approx(metrics["validation_loss"]["value"])
    assert language_metrics(Bigram(5), tokens, 40, 41)["validation_loss"]["interval"] is None


def test_bf16_measures_nearly_the_same() -> None:
    tokens = torch.randint(5, (41,), generator=torch.Generator().manual_seed(1))
    model = nn.Sequential(Bigram(5), nn.Linear(5, 5))
    exact, rough = (
        language_metrics(model, tokens, 8, 41, precision=p)["validation_loss"]["value"] for p in ("fp32", "bf16")
    )
    assert rough == pytest.approx(exact, rel=0.02)


def test_a_text_of_one_token_predicts_nothing() -> None:
    with pytest.raises(DataError, match="at least two"):
        language_metrics(Uniform(3), torch.tensor([1]), 4, 1)


def test_the_loss_is_the_mean_negative_log_probability_of_the_next_tokens() -> None:
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 1, 2], [3, 0, 1]])
    logp = logits.log_softmax(-1)
    expected = -torch.stack([logp[b, p, targets[b, p]] for b in range(2) for p in range(3)]).mean()
    torch.testing.assert_close(next_token_loss(logits, targets), expected)


def test_training_brings_a_bigram_model_to_the_entropy_of_its_source() -> None:
    tokens = torch.tensor([0, 1, 0, 2]).repeat(50)  # after 0 comes 1 or 2, after 1 and 2 comes 0: log(2) / 2 nats
    model = Bigram(3)
    cfg = FitConfig(steps=300, lr=0.1, schedule="linear")
    curve = train_language_model(
        model,
        lambda step: (tokens[None, :-1], tokens[None, 1:]),
        cfg,
        lambda m: language_metrics(m, tokens, 20, len(tokens)),
    )
    assert curve.last("validation_loss") == pytest.approx(math.log(2) / 2, abs=0.01)
