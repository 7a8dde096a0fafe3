"""Checks before a long run: overfitting one batch, and gradients and activations of each layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from workbench.core.hooked import HookedModel
from workbench.core.notebook import show_in_notebook, write_fields
from workbench.core.progress import Progress, silent
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig, fit
from workbench.training.optimizers import trainable_parameters
from workbench.training.sanity import Lesson, gradient_norms


@dataclass(frozen=True)
class WeightCheck:
    """Euclidean norms of one trainable parameter and of the loss's gradient, before training."""

    name: str
    norm: float
    gradient: float


@dataclass(frozen=True)
class HookCheck:
    """Mean, standard deviation and share of exact zeros of the activations at one hook, before training."""

    name: str
    mean: float
    std: float
    zero_share: float


@dataclass(frozen=True)
class TrainingCheck:
    """Curve of training on one batch, with statistics of weights and hooks before that training.

    `first` is the loss on that batch before training, in nats; `chance` the loss of a uniform answer; `floor` the
    smallest possible loss, which label smoothing keeps above 0.
    """

    __repr__ = write_fields
    _repr_mimebundle_ = show_in_notebook

    recipe: str
    first: float
    chance: float
    curve: Curve
    weights: tuple[WeightCheck, ...]
    hooks: tuple[HookCheck, ...]
    floor: float = 0.0

    @property
    def learned(self) -> bool:
        """True if training removed at least nine tenths of the avoidable loss on the batch."""
        return self.curve.last("train_loss") < self.floor + 0.1 * (self.first - self.floor)

    @property
    def idle(self) -> tuple[str, ...]:
        """Parameters with a gradient of zero."""
        return tuple(w.name for w in self.weights if w.gradient == 0)


def check_training(
    recipe: str, model: HookedModel, lesson: Lesson, cfg: FitConfig, steps: int = 100, progress: Progress = silent
) -> TrainingCheck:
    """Compute statistics of a fresh network, then train it in place for `steps` updates on its first batch.

    The learning rate is constant. Cost: `steps` updates and two forward passes.
    """
    inputs, targets = batch = lesson.batch(0)
    model.train()
    loss = lesson.loss(model(inputs), targets)
    gradients = gradient_norms(model, loss)
    weights = tuple(WeightCheck(n, p.norm().item(), gradients[n]) for n, p in trainable_parameters(model).items())
    hooks = check_hooks(model.eval(), inputs)
    quick = replace(
        cfg, steps=steps, schedule="constant", warmup=0, accumulate=1, ema=None, evaluate_every=0, keep_steps=(),
        log_every=max(1, steps // 50), weight_decay=0.0,
    )  # fmt: skip
    curve = fit(model, lambda step: batch, lesson.loss, quick, progress=progress)
    chance = math.log(model(inputs[:1]).shape[-1])
    return TrainingCheck(recipe, loss.item(), chance, curve, weights, hooks, lesson.floor)


@torch.no_grad()
def check_hooks(model: HookedModel, inputs: torch.Tensor) -> tuple[HookCheck, ...]:
    """Compute statistics of every hook that fires in a forward pass, in firing order."""
    cache = model.cache(inputs)
    return tuple(
        HookCheck(name, x.float().mean().item(), x.float().std().item(), (x == 0).float().mean().item())
        for name, x in cache.items()
    )
