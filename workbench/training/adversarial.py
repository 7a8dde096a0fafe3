"""Generative adversarial training (Goodfellow et al. 2014): a generator and the discriminator it learns to fool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workbench.core.errors import CheckpointError
from workbench.core.progress import Progress, silent
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig, Metrics, Run, advance, observe, pause
from workbench.training.supervised import lay_out

GENERATED, REAL = 0, 1
"""The discriminator's classes."""
Verdict = Float[Tensor, "batch class"]
Draw = Callable[[int], Tensor]
"""step -> a batch, a pure function of (seed, step)."""


def discriminator_loss(real: Verdict, generated: Float[Tensor, "other class"]) -> Float[Tensor, ""]:
    """Cross entropy of telling real from generated, in nats, each kind counting one half."""
    return (cross_entropy(real, classes(real, REAL)) + cross_entropy(generated, classes(generated, GENERATED))) / 2


def generator_loss(generated: Verdict) -> Float[Tensor, ""]:
    """The non-saturating loss: minus the log probability that the discriminator gives to real, in nats."""
    return cross_entropy(generated, classes(generated, REAL))


def classes(verdict: Verdict, kind: int) -> Tensor:
    """That class for every row."""
    return torch.full((len(verdict),), kind, device=verdict.device)


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
    """Trains both in place, in turn, one update each per step; returns the generator's curve and `discriminator_loss`.

    The two share `cfg`, but only the generator's weights are averaged (`ema`). `evaluate` sees the generator. Both
    states lie beside each other and an interrupted run continues from them.
    """
    beside = None if checkpoint is None else checkpoint.with_name(f"discriminator_{checkpoint.name}")
    for network in (generator, discriminator):
        lay_out(network, torch.channels_last)
    judge, maker = Run(discriminator, replace(cfg, ema=None), beside), Run(generator, cfg, checkpoint)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        restore(judge, maker)
        for network in (generator, discriminator):
            network.train()
        try:
            while maker.step < cfg.steps:
                turn(judge, maker, images, latents)
                judged = judge.pending[-cfg.log_every :]
                observe(maker, evaluate)
                if maker.curve.step[-1:] == [maker.step]:
                    point = {"discriminator_loss": sum(judged) / len(judged)}
                    maker.curve, judge.pending = maker.curve.with_point(maker.step, point), []
                keep_both(judge, maker, progress)
        finally:
            for network in (generator, discriminator):
                network.eval()
                lay_out(network, torch.contiguous_format)
    if maker.average is not None:
        maker.average.copy_to_model()
    if beside is not None:
        beside.unlink(missing_ok=True)
    return maker.curve


def restore(judge: Run, maker: Run) -> None:
    """Takes up the stored states, which must be of one step."""
    judge.restore()
    maker.restore()
    if judge.step != maker.step:
        raise CheckpointError(
            f"{judge.checkpoint} is of step {judge.step} and {maker.checkpoint} of step {maker.step}: the run was "
            "killed between the two. Delete both to start again."
        )


def turn(judge: Run, maker: Run, images: Draw, latents: Draw) -> None:
    """One update of the discriminator on real and generated images, then one of the generator on other codes."""

    def to_tell(step: int) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            generated = maker.model(latents(2 * step))
        real = images(step)
        return torch.cat([real, generated]), torch.tensor([len(real), len(generated)])

    def told(verdict: Verdict, counts: Tensor) -> Float[Tensor, ""]:
        return discriminator_loss(*verdict.split(counts.tolist()))

    def to_fool(step: int) -> tuple[Tensor, Tensor]:
        return latents(2 * step + 1), torch.tensor(REAL)

    def fooled(generated: Tensor, wanted: Any) -> Float[Tensor, ""]:
        return generator_loss(judge.model(generated))

    advance(judge, to_tell, told)
    judge.model.requires_grad_(False)
    advance(maker, to_fool, fooled)
    judge.model.requires_grad_(True)


def keep_both(judge: Run, maker: Run, progress: Progress) -> None:
    """Between two steps: both states are stored when that is due, and when the caller cancels."""
    pause(judge, silent)
    try:
        pause(maker, progress)
    except BaseException:
        judge.save()
        raise
