"""Gradient norms by parameter, and the batches and loss that a recipe trains on."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, autograd, nn

from workbench.training.fit import Batch, Loss
from workbench.training.optimizers import trainable_parameters


@dataclass(frozen=True)
class Lesson:
    """Batches by step, loss, and smallest possible loss of a training."""

    batch: Batch
    loss: Loss
    floor: float = 0.0


def gradient_norms(model: nn.Module, loss: Float[Tensor, ""]) -> dict[str, float]:
    """Compute the Euclidean norm of the loss's gradient for each trainable parameter; 0 if it does not depend on it.

    The parameters' own `.grad` is unchanged. Cost: One backward pass.
    """
    parameters = trainable_parameters(model)
    gradients = autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {n: 0.0 if g is None else g.norm().item() for n, g in zip(parameters, gradients, strict=True)}
