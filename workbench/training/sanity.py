"""Checks worth a minute before a long run: can it learn one batch, and do all layers get gradients?"""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, autograd, nn

from workbench.training.curve import Curve
from workbench.training.fit import Batch, FitConfig, Loss, fit
from workbench.training.optimizers import trainable


@dataclass(frozen=True)
class Lesson:
    """What a network is taught: its batches by step, and the loss on its answers."""

    batch: Batch
    loss: Loss


def gradient_norms(model: nn.Module, loss: Float[Tensor, ""]) -> dict[str, float]:
    """The Euclidean norm of the loss's gradient for each trainable parameter, by name; 0 where it does not reach.

    One backward pass; the parameters' own `.grad` stays as it was.
    """
    parameters = trainable(model)
    gradients = autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {n: 0.0 if g is None else g.norm().item() for n, g in zip(parameters, gradients, strict=True)}


def overfit_one_batch(model: nn.Module, batch: Batch, loss: Loss, cfg: FitConfig) -> Curve:
    """The curve of training on batch 0 alone: a sound model and loss bring `train_loss` close to its least value.

    Trains the model in place: give it a fresh one.
    """
    only = batch(0)
    return fit(model, lambda step: only, loss, replace(cfg, accumulate=1))
