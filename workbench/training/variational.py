"""Variational autoencoders (Kingma & Welling 2014), trained on the evidence lower bound in nats per image.

1. Encode an image as a normal distribution over codes, and draw one code.
2. Decode it to logits of pixels.
3. Maximise the log-likelihood of the pixels minus `beta` times the code's KL divergence from the prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from workbench.core.errors import ConfigError
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.training.curve import Curve
from workbench.training.fit import Batch, FitConfig, fit
from workbench.training.scores import mean_score
from workbench.training.supervised import lay_out

Images = Float[Tensor, "batch *shape"]
Codes = Float[Tensor, "batch latent"]
PerImage = Float[Tensor, " batch"]


class Bound(NamedTuple):
    """Log-likelihood of the image given its code, and the code's divergence from the prior, in nats per image."""

    log_likelihood: PerImage
    divergence: PerImage

    @property
    def elbo(self) -> PerImage:
        """Lower bound on log p(image)."""
        return self.log_likelihood - self.divergence


def divergence(mean: Codes, log_variance: Codes) -> Codes:
    """Compute the KL divergence of each normal distribution from the standard one, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def log_likelihood(logits: Float[Tensor, "batch pixel"], images: Images) -> PerImage:
    """Compute the log-probability of pixels in 0..1 under independent Bernoulli distributions, in nats per image."""
    return -binary_cross_entropy_with_logits(logits, images.flatten(1), reduction="none").sum(dim=1)


def log_normal(x: Codes, mean: Codes, log_variance: Codes) -> PerImage:
    """Compute the log density of a code under a normal distribution with independent entries."""
    return -0.5 * ((x - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi)).sum(dim=1)


def compute_bound(output: Any, images: Images) -> Bound:
    """Compute the bound from a network's output, whose code was drawn once."""
    logits, mean, log_variance = (getattr(output, name).float() for name in ("logits", "mean", "log_variance"))
    return Bound(log_likelihood(logits, images), divergence(mean, log_variance).sum(dim=1))


@torch.no_grad()
def importance_weighted_bound(model: Any, images: Images, samples: int, random: torch.Generator) -> PerImage:
    """Compute the importance-weighted bound on log p(image), which tightens with `samples` (Burda et al. 2016).

    One sample gives the ELBO. Cost: One encoding, and one decoding for each sample.
    """
    mean, log_variance = model.encode(images)
    weights = []
    for _ in range(samples):
        noise = torch.randn(mean.shape, generator=random).to(mean)
        latent = mean + (0.5 * log_variance).exp() * noise
        prior = log_normal(latent, torch.zeros_like(mean), torch.zeros_like(mean))
        likely = log_likelihood(model.decode(latent).logits, images)
        weights.append(likely + prior - log_normal(latent, mean, log_variance))
    return torch.stack(weights).logsumexp(dim=0) - math.log(samples)


def train_autoencoder(
    model: nn.Module,
    batch: Batch,
    cfg: FitConfig,
    test: Images | None = None,
    beta: float = 1.0,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    keep: Callable[[int, nn.Module], None] | None = None,
) -> Curve:
    """Train an autoencoder in place to maximise log-likelihood - `beta` * divergence (Higgins et al. 2017).

    Codes are drawn from torch's own generator. The curve holds the parts of the bound on `test`, at beta 1. Further
    arguments are those of `fit`.
    """
    if beta < 0:
        raise ConfigError(f"beta={beta} would reward a code for being far from the prior. Choose 0 or more.")
    lay_out(model, torch.channels_last)

    def loss(output: Any, images: Images) -> Float[Tensor, ""]:
        bound = compute_bound(output, images)
        return (beta * bound.divergence - bound.log_likelihood).mean()

    def pairs(step: int) -> tuple[Tensor, Tensor]:
        images = batch(step)[0].contiguous(memory_format=torch.channels_last)
        return images, images

    def evaluate(trained: nn.Module) -> dict[str, Any]:
        return {} if test is None else autoencoder_metrics(trained, test, cfg.seed)

    try:
        return fit(model, pairs, loss, cfg, evaluate, checkpoint, progress, keep)
    finally:
        lay_out(model, torch.contiguous_format)


@torch.no_grad()
def autoencoder_metrics(
    model: Any, images: Images, seed: int = 0, samples: int = 0, batch_size: int = 500
) -> dict[str, dict[str, Any]]:
    """Measure `elbo_loss`, the negative bound, and its parts `reconstruction_loss` and `divergence`, in nats per image.

    Codes are drawn once with `seed`. With `samples`, also `importance_weighted_loss`. Intervals are over images.
    """
    was_training = model.training
    model.eval()
    bounds, tighter = [], []
    for i, some in enumerate(images.split(batch_size)):
        bounds.append(compute_bound(model.sample(some, generator(seed, "codes", i)), some))
        if samples:
            tighter.append(importance_weighted_bound(model, some, samples, generator(seed, "many codes", i)))
    model.train(was_training)
    likely, apart = (torch.cat(part) for part in zip(*bounds, strict=True))
    found = {"elbo_loss": apart - likely, "reconstruction_loss": -likely, "divergence": apart}
    if samples:
        found["importance_weighted_loss"] = -torch.cat(tighter)
    return {name: mean_score(values) for name, values in found.items()}
