"""Tests of the evidence lower bound against closed forms and a model of known likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.testing import assert_close

from tests.zoo.small import example, small
from workbench.core.errors import ConfigError
from workbench.core.random import generator
from workbench.training.fit import FitConfig
from workbench.training.variational import (
    autoencoder_metrics,
    compute_bound,
    divergence,
    importance_weighted_bound,
    log_likelihood,
    log_normal,
    train_autoencoder,
)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed, "test"), dtype=torch.float64)


@given(seed=st.integers(0, 2**16))
def test_the_divergence_is_that_of_two_normal_distributions(seed: int) -> None:
    mean, log_variance = draw(3, 4, seed=seed), draw(3, 4, seed=seed + 1)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    assert_close(divergence(mean, log_variance), expected)
    assert_close(divergence(torch.zeros(1, 2), torch.zeros(1, 2)), torch.zeros(1, 2))


@given(seed=st.integers(0, 2**16))
def test_likelihoods_are_those_of_torch_distributions(seed: int) -> None:
    logits, images = draw(3, 8, seed=seed), (draw(3, 2, 4, seed=seed + 1) > 0).double()
    assert_close(log_likelihood(logits, images), Bernoulli(logits=logits).log_prob(images.flatten(1)).sum(1))
    mean, log_variance = draw(3, 4, seed=seed + 2), draw(3, 4, seed=seed + 3)
    expected = Normal(mean, (log_variance / 2).exp()).log_prob(draw(3, 4, seed=seed + 4)).sum(1)
    assert_close(log_normal(draw(3, 4, seed=seed + 4), mean, log_variance), expected)


@dataclass(frozen=True)
class OneCoin:
    """One binary pixel that ignores its code: its likelihood is the same for every code."""

    logit: float
    mean: float = 0.7
    log_variance: float = -0.4

    def encode(self, images: torch.Tensor) -> Any:
        ones = torch.ones(len(images), 1, dtype=images.dtype)
        return ones * self.mean, ones * self.log_variance

    def decode(self, latent: torch.Tensor) -> Any:
        return SimpleNamespace(logits=torch.full((len(latent), 1), self.logit, dtype=latent.dtype))


def test_many_codes_make_the_bound_tight_and_one_code_gives_the_elbo_on_average() -> None:
    model, images = OneCoin(logit=0.3), torch.ones(400, 1, dtype=torch.float64)
    exact = torch.tensor(0.3, dtype=torch.float64).sigmoid().log()
    tight = importance_weighted_bound(model, images, 400, generator(0)).mean()
    assert_close(tight, exact, atol=5e-3, rtol=0)
    one = torch.stack([importance_weighted_bound(model, images, 1, generator(i)).mean() for i in range(50)]).mean()
    mean, log_variance = model.encode(images)
    elbo = exact - divergence(mean, log_variance).sum(1).mean()
    assert_close(one, elbo, atol=0.02, rtol=0)
    assert one < tight


def test_a_posterior_that_is_the_prior_makes_every_sample_exact() -> None:
    model, images = OneCoin(0.3, mean=0.0, log_variance=0.0), torch.ones(5, 1, dtype=torch.float64)
    exact = torch.tensor(0.3, dtype=torch.float64).sigmoid().log().expand(5)
    assert_close(importance_weighted_bound(model, images, 3, generator(1)), exact)


def test_training_raises_the_bound_and_the_metrics_add_up() -> None:
    model = small("vae").float()
    images = (example(model, 8).float() > 0.5).float()
    before = autoencoder_metrics(model, images)["elbo_loss"]["value"]
    cfg = FitConfig(steps=60, lr=1e-2)
    curve = train_autoencoder(model, lambda step: (images, torch.zeros(8)), cfg, images)
    found = autoencoder_metrics(model, images, samples=20)
    value = {name: score["value"] for name, score in found.items()}
    assert value["elbo_loss"] < before
    assert value["elbo_loss"] == pytest.approx(value["reconstruction_loss"] + value["divergence"], abs=1e-3)
    assert value["importance_weighted_loss"] < value["elbo_loss"] + 0.5
    assert curve.last("elbo_loss") == pytest.approx(value["elbo_loss"], abs=1e-4)


def test_beta_weighs_the_divergence() -> None:
    losses, images = {}, torch.ones(4, 2, 8, 8)
    for beta in (0.0, 1.0, 3.0):
        model = small("vae").float()
        cfg = FitConfig(steps=1, lr=1e-30, seed=5)
        losses[beta] = train_autoencoder(model, lambda step: (images, images), cfg, beta=beta).last("train_loss")
    assert losses[3.0] - losses[1.0] == pytest.approx(2 * (losses[1.0] - losses[0.0]), rel=1e-3)
    posterior = small("vae").float().encode(images)
    assert losses[1.0] - losses[0.0] == pytest.approx(divergence(*posterior).sum(1).mean().item(), rel=1e-3)


def test_a_negative_beta_is_refused() -> None:
    with pytest.raises(ConfigError, match="far from the prior"):
        train_autoencoder(small("vae"), lambda step: (torch.ones(1), torch.ones(1)), FitConfig(), beta=-1.0)


def test_the_mean_code_gives_the_output_of_evaluation() -> None:
    model = small("vae")
    images = example(model, 3)
    output = model(images)
    assert_close(model.decode(model.encode(images).mean).logits, output.logits)
    one, two = (compute_bound(model.sample(images, generator(seed)), images) for seed in (0, 1))
    assert_close(one.divergence, two.divergence)
    assert not torch.equal(one.log_likelihood, two.log_likelihood)
