"""What is worth a look before a long run: one batch learned by heart, and each layer's gradient and activations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress, silent
from workbench.training.curve import Curve
from workbench.training.fit import FitConfig, fit
from workbench.training.optimizers import trainable
from workbench.training.sanity import Lesson, gradient_norms


@dataclass(frozen=True)
class WeightCheck:
    """One trainable parameter before training: Euclidean norms of its values and of the loss's gradient."""

    name: str
    norm: float
    gradient: float


@dataclass(frozen=True)
class HookCheck:
    """Activations at one hook before training: mean, standard deviation, and the share that is exactly zero."""

    name: str
    mean: float
    std: float
    zero_share: float


@dataclass(frozen=True)
class TrainingCheck:
    """Whether a network can learn at all: the curve of training on one batch, and statistics by layer before it.

    `first` is the loss on that batch before training, in nats; `chance` what equal odds would give, and `floor` the
    least there is, which label smoothing keeps above 0.
    """

    recipe: str
    first: float
    chance: float
    curve: Curve
    weights: tuple[WeightCheck, ...]
    hooks: tuple[HookCheck, ...]
    floor: float = 0.0

    @property
    def learned(self) -> bool:
        """Whether nine tenths of what could be learned of the batch were."""
        return self.curve.last("train_loss") < self.floor + 0.1 * (self.first - self.floor)

    @property
    def idle(self) -> tuple[str, ...]:
        """Parameters that no gradient reaches."""
        return tuple(w.name for w in self.weights if w.gradient == 0)


def check_training(
    recipe: str, model: HookedModel, lesson: Lesson, cfg: FitConfig, steps: int = 100, progress: Progress = silent
) -> TrainingCheck:
    """Statistics of a fresh network on its first batch, then `steps` updates on that batch alone, in place.

    The learning rate is the configuration's, without a schedule. Costs `steps` updates and two forward passes.
    """
    inputs, targets = batch = lesson.batch(0)
    model.train()
    loss = lesson.loss(model(inputs), targets)
    gradients = gradient_norms(model, loss)
    weights = tuple(WeightCheck(n, p.norm().item(), gradients[n]) for n, p in trainable(model).items())
    hooks = hook_checks(model.eval(), inputs)
    quick = replace(
        cfg, steps=steps, schedule="constant", warmup=0, accumulate=1, ema=None, evaluate_every=0, keep_steps=(),
        log_every=max(1, steps // 50), weight_decay=0.0,
    )  # fmt: skip
    curve = fit(model, lambda step: batch, lesson.loss, quick, progress=progress)
    chance = math.log(model(inputs[:1]).shape[-1])
    return TrainingCheck(recipe, loss.item(), chance, curve, weights, hooks, lesson.floor)


@torch.no_grad()
def hook_checks(model: HookedModel, inputs: torch.Tensor) -> tuple[HookCheck, ...]:
    """Statistics of every hook that fires unasked, in firing order."""
    cache = model.cache(inputs)
    return tuple(
        HookCheck(name, x.float().mean().item(), x.float().std().item(), (x == 0).float().mean().item())
        for name, x in cache.items()
    )
