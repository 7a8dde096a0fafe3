"""Generative adversarial training (Goodfellow et al. 2014) of a generator and a discriminator.

1. Update the discriminator on real and generated images with `discriminator_loss`.
2. Update the generator on new codes with `generator_loss`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workbench.core.progress import Progress, silent
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig, Metrics, Run, advance, observe
from workbench.training.parallel import is_first
from workbench.training.resume import TrainingState, batch_sha256, pause, read_state, write_state
from workbench.training.supervised import lay_out

GENERATED, REAL = 0, 1
"""Classes of the discriminator."""
Verdict = Float[Tensor, "batch class"]
Draw = Callable[[int], Tensor]
"""Returns the batch of a step; depends only on the seed and the step."""


def discriminator_loss(real: Verdict, generated: Float[Tensor, "other class"]) -> Float[Tensor, ""]:
    """Cross entropy of the classes real and generated, in nats, each class weighted one half."""
    return (mean_surprise(real, REAL) + mean_surprise(generated, GENERATED)) / 2


def generator_loss(generated: Verdict) -> Float[Tensor, ""]:
    """Non-saturating loss: minus the log-probability of the class real, in nats."""
    return mean_surprise(generated, REAL)


def mean_surprise(verdict: Verdict, kind: int) -> Float[Tensor, ""]:
    """Cross entropy of one class for every row, in nats."""
    return cross_entropy(verdict, torch.full((len(verdict),), kind, device=verdict.device))


def train_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    images: Draw,
    latents: Draw,
    cfg: FitConfig,
    evaluate: Callable[[nn.Module], Metrics] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Curve:
    """Train both networks in place, one update each per step, and return the curve of the generator.

    The curve also holds `discriminator_loss`. Only the generator's weights are averaged (`ema`).

    Args:
        generator: Maps codes to images.
        discriminator: Maps images to logits of the classes generated and real.
        images: Real images of each step.
        latents: Codes of each step.
        cfg: Settings of both trainings.
        evaluate: Measures the generator.
        checkpoint: File of both training states. If it exists, the run continues from it.
        progress: Called with the steps done and all steps.
    """
    for network in (generator, discriminator):
        lay_out(network, torch.channels_last)
    data = {} if checkpoint is None else {"first_batch": batch_sha256(images(0), latents(0))}
    d_run, g_run = Run(discriminator, replace(cfg, ema=None), None, data), Run(generator, cfg, None, data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        if checkpoint is not None and checkpoint.exists():
            restore(d_run, g_run, checkpoint)
        for network in (generator, discriminator):
            network.train()
        try:
            while g_run.step < cfg.steps:
                update_both(d_run, g_run, images, latents)
                losses = d_run.pending[-cfg.log_every :]
                observe(g_run, evaluate)
                if g_run.curve.step[-1:] == [g_run.step]:
                    point = {"discriminator_loss": sum(losses) / len(losses)}
                    g_run.curve, d_run.pending = g_run.curve.with_point(g_run.step, point), []
                due = g_run.step % cfg.checkpoint_every == 0 or g_run.step == cfg.steps
                pause(lambda: save(d_run, g_run, checkpoint), due, progress, g_run.step, cfg.steps)
        finally:
            for network in (generator, discriminator):
                network.eval()
                lay_out(network, torch.contiguous_format)
    if g_run.average is not None:
        g_run.average.copy_to_model()
    return g_run.curve


def restore(d_run: Run, g_run: Run, path: Path) -> None:
    """Continue from the stored states of both networks."""
    stored = read_state(path)
    for run, name in ((d_run, "discriminator"), (g_run, "generator")):
        run.take(TrainingState(stored.under(name), stored.facts.get(name, {"config": {}})), path)


def save(d_run: Run, g_run: Run, path: Path | None) -> None:
    """Write the states of both networks as one file, so that both are of the same step."""
    if path is None:
        return
    both = {"discriminator": d_run.state(), "generator": g_run.state()}
    facts = {name: state.facts for name, state in both.items()} | {"curve": both["generator"].facts["curve"]}
    if is_first():
        write_state(path, TrainingState.of({name: state.tensors for name, state in both.items()}, facts))


def update_both(d_run: Run, g_run: Run, images: Draw, latents: Draw) -> None:
    """Update the discriminator on real and generated images, then the generator on other codes."""

    def mixed_images(step: int) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            generated = g_run.model(latents(2 * step))
        real = images(step)
        return torch.cat([real, generated]), torch.tensor([len(real), len(generated)])

    def split_loss(verdict: Verdict, counts: Tensor) -> Float[Tensor, ""]:
        return discriminator_loss(*verdict.split(counts.tolist()))

    def codes(step: int) -> tuple[Tensor, Tensor]:
        return latents(2 * step + 1), torch.tensor(REAL)

    def loss_of_images(generated: Tensor, _: Tensor) -> Float[Tensor, ""]:
        return generator_loss(d_run.model(generated))

    advance(d_run, mixed_images, split_loss)
    d_run.model.requires_grad_(False)
    advance(g_run, codes, loss_of_images)
    d_run.model.requires_grad_(True)
