"""Conjugate gradients (Hestenes & Stiefel 1952): solves A x = b knowing only what A makes of a vector."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Vector = Float[Tensor, " parameter"]


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], b: Vector, steps: int = 10, tolerance: float = 1e-10
) -> Vector:
    """x with A x near b, for a symmetric positive definite A given as `product`; exact after len(b) steps.

    Stops early when the squared residual falls below `tolerance`. Costs one product per step.
    """
    x, residual, direction = torch.zeros_like(b), b.clone(), b.clone()
    error = residual @ residual
    for _ in range(steps):
        if error < tolerance:
            break
        image = product(direction)
        length = error / (direction @ image)
        x = x + length * direction
        residual = residual - length * image
        previous, error = error, residual @ residual
        direction = residual + error / previous * direction
    return x
