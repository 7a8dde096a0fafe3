"""Rotary position embedding (Su et al. 2021): queries and keys are rotated by an angle proportional to position."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

BASE = 10_000.0


@lru_cache(maxsize=8)
def angles(length: int, d_head: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosine and sine, of shape (pos, 1, d_head / 2), of position times frequency.

    Entries i and i + d_head / 2 form a pair that is rotated together.
    """
    frequency = BASE ** (-torch.arange(0, d_head, 2, device=device, dtype=torch.float64) / d_head)
    angle = torch.arange(length, device=device, dtype=torch.float64)[:, None, None] * frequency
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: Float[Tensor, "batch pos head d_head"], start: int = 0) -> Float[Tensor, "batch pos head d_head"]:
    """Rotate each position's vectors, so that scores depend only on differences of position."""
    cos, sin = (t[start:] for t in angles(start + x.shape[1], x.shape[-1], x.device, x.dtype))
    one, two = x.chunk(2, dim=-1)
    return torch.cat([one * cos - two * sin, two * cos + one * sin], dim=-1)
