"""Perturbations of the rows of a batch that give valid values of any dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

Change = Callable[[Tensor], Tensor]


def mix(x: Tensor) -> Tensor:
    """Permute the entries."""
    return x.roll(1, 0).flip(-1)


def enlarge(x: Tensor) -> Tensor:
    """Scale by ten and shift; integers become the largest one that occurs."""
    return 10 * x + 1 if x.is_floating_point() or x.is_complex() else _largest(x).expand_as(x)


def negate(x: Tensor) -> Tensor:
    """Scale by minus three; integers are reversed in order of size."""
    if x.is_floating_point() or x.is_complex():
        return -3 * x
    return ~x if x.dtype == torch.bool else _largest(x) + _smallest(x) - x


def empty(x: Tensor) -> Tensor:
    """Set to zero; integers become the smallest one that occurs."""
    return torch.zeros_like(x) if x.is_floating_point() or x.is_complex() else _smallest(x).expand_as(x)


def _largest(x: Tensor) -> Tensor:
    return x.any() if x.dtype == torch.bool else x.amax()


def _smallest(x: Tensor) -> Tensor:
    return x.all() if x.dtype == torch.bool else x.amin()


def neighbours(rows: int) -> Iterator[tuple[Change, Bool[Tensor, " row"]]]:
    """Yield changes with the rows to apply them to: halves and every other row, so each row has changed neighbours."""
    place = torch.arange(rows)
    late, odd = place >= rows // 2, place % 2 == 1
    yield from ((mix, late), (enlarge, late), (enlarge, ~late), (negate, odd), (enlarge, ~odd), (empty, late))


def perturb(tensors: Sequence[Tensor], change: Change, rows: Bool[Tensor, " row"]) -> list[Tensor]:
    """Copy tensors with one row per example and change these rows."""
    result = []
    for x in tensors:
        mask = rows.to(x.device).reshape(-1, *[1] * (x.ndim - 1))
        result.append(torch.where(mask, change(x), x) if x.numel() else x)
    return result
