"""Conjugate gradient method (Hestenes & Stiefel 1952): solves A x = b from products with A alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Vector = Float[Tensor, " parameter"]


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], b: Vector, steps: int = 10, tolerance: float = 1e-10
) -> Vector:
    """Solve A x = b for a symmetric positive definite matrix A; exact after len(b) steps.

    Args:
        product: Multiplies a vector by A.
        b: The vector b, of one entry per row of A.
        steps: Maximum number of steps, of one product each.
        tolerance: Squared residual at which to stop.
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
