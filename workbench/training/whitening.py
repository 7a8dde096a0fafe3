"""Convolution kernels that whiten image patches (Jordan 2024)."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import unfold


def whitening_kernels(
    images: Float[Tensor, "batch channel height width"], patch: int, eps: float = 5e-4
) -> Float[Tensor, "kernel channel patch patch"]:
    """Compute a kernel per principal direction of the images' patches, largest variance last, then their negatives.

    Each kernel divides by the standard deviation along its direction, with `eps` added to the variance. The mean is not
    subtracted.
    """
    rows = rearrange(unfold(images, patch), "batch number place -> (batch place) number")
    variance, direction = torch.linalg.eigh(torch.cov(rows.T))
    scaled = direction.T / (variance[:, None] + eps).sqrt()
    kernels = rearrange(scaled, "k (c h w) -> k c h w", h=patch, w=patch)
    return torch.cat([kernels, -kernels])
