"""Beta-VAE on drawn shapes, whose known factors measure how disentangled its latents are."""

from __future__ import annotations

from typing import Any

import torch

from workbench.analysis.generative.disentanglement import mutual_information_gap, separated_predictability
from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.images.minibatches import minibatches
from workbench.data.images.shapes import FactorData
from workbench.recipes.recipe import Metrics, Recipe, Session, Trained, register
from workbench.training.fit import FitConfig
from workbench.training.variational import autoencoder_metrics, train_autoencoder
from workbench.zoo.vae import VAEConfig

BETA = 2.0
EVALUATED = 500
SCORES = ("mutual_information_gap", "separated_predictability")


def train(recipe: Recipe, model: HookedModel, session: Session) -> Trained:
    """Train with Bernoulli likelihood of pixels in 0..1; also measure the disentanglement before training."""
    data: FactorData = DATASETS["shapes"]()
    test = data.test_inputs
    untrained = {f"untrained_{name}": score for name, score in disentanglement(model, data).items() if name in SCORES}
    curve = train_autoencoder(
        model, minibatches(data, 128, recipe.seed), recipe.training, test[:EVALUATED], BETA,
        session.state, session.progress, session.keep,
    )  # fmt: skip
    metrics = {**measure(recipe, model), **untrained}
    return Trained(curve, metrics, DataSource(data.name, data.sha256, data.note))


def measure(recipe: Recipe, model: HookedModel) -> Metrics:
    """Measure the bounds on the test images and the disentanglement on all images."""
    data: FactorData = DATASETS["shapes"]()
    return autoencoder_metrics(model, data.test_inputs, recipe.seed) | disentanglement(model, data)


@torch.no_grad()
def disentanglement(model: Any, data: FactorData) -> dict[str, dict[str, Any]]:
    """Measure mutual information gap and separated attribute predictability, as means and per factor."""
    inputs, factors = torch.cat([data.train_inputs, data.test_inputs]), [data.train_factors, data.test_factors]
    codes = torch.cat([model.encode(part).mean for part in inputs.split(500)])
    gaps = mutual_information_gap(codes, torch.cat(factors))
    predicted = separated_predictability(codes, torch.cat(factors))
    found = dict(zip(SCORES, (float(gaps.mean()), float(predicted.mean())), strict=True))
    found |= {f"gap_of_{factor.name}": float(value) for factor, value in zip(data.factors, gaps, strict=True)}
    return {name: {"value": value, "n": len(codes)} for name, value in found.items()}


RECIPE = register(
    Recipe(
        name="shapes_vae",
        title="Beta-VAE on drawn shapes",
        architecture="vae",
        config=VAEConfig(in_channels=3, size=24, channels=(32, 32), n_latents=10),
        training=FitConfig(
            steps=3000, optimizer="adamw", lr=5e-3, schedule="cosine", warmup=100, gradient_clip=1000.0,
            evaluate_every=500, log_every=50,
        ),
        train=train,
        reads=("shapes",),
        measure=measure,
        targets={"mutual_information_gap": 0.05},
        note=f"Beta is {BETA:g}; Bernoulli likelihood of pixels in 0..1. The elbo loss on the card is at beta 1.",
    )
)  # fmt: skip
