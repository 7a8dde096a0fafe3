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

from workbench.core.progress import Progress, silent
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig, Metrics, Run, advance, observe
from workbench.training.parallel import is_first
from workbench.training.resume import TrainingState, batch_sha256, read_state, write_state
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
    states lie in the file `checkpoint`, from which an interrupted run continues.
    """
    for network in (generator, discriminator):
        lay_out(network, torch.channels_last)
    data = {} if checkpoint is None else {"first_batch": batch_sha256(images(0), latents(0))}
    judge, maker = Run(discriminator, replace(cfg, ema=None), None, data), Run(generator, cfg, None, data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        if checkpoint is not None and checkpoint.exists():
            restore(judge, maker, checkpoint)
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
                pause(judge, maker, checkpoint, progress)
        finally:
            for network in (generator, discriminator):
                network.eval()
                lay_out(network, torch.contiguous_format)
    if maker.average is not None:
        maker.average.copy_to_model()
    return maker.curve


def restore(judge: Run, maker: Run, path: Path) -> None:
    """Continue from the stored states of both networks."""
    stored = read_state(path)
    for run, name in ((judge, "discriminator"), (maker, "generator")):
        run.take(TrainingState(stored.under(name), stored.facts.get(name, {"config": {}})), path)


def save(judge: Run, maker: Run, path: Path) -> None:
    """Write the states of both networks as one file, so that they are always of one step."""
    both = {"discriminator": judge.state(), "generator": maker.state()}
    facts = {name: state.facts for name, state in both.items()} | {"curve": both["generator"].facts["curve"]}
    if is_first():
        write_state(path, TrainingState.of({name: state.tensors for name, state in both.items()}, facts))


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


def pause(judge: Run, maker: Run, checkpoint: Path | None, progress: Progress) -> None:
    """Between two steps, store the states when that is due and when the caller, who is informed, cancels."""
    due = maker.step % maker.cfg.checkpoint_every == 0 or maker.step == maker.cfg.steps
    if due and checkpoint is not None:
        save(judge, maker, checkpoint)
    try:
        progress(maker.step, maker.cfg.steps)
    except BaseException:
        if checkpoint is not None and not due:
            save(judge, maker, checkpoint)
        raise
