"""Codes for a generator: drawn from the prior, or one code with one of its latents moved."""

from __future__ import annotations

import torch

from workbench.core.errors import InputError
from workbench.core.random import generator
from workbench.experiments.inputs.batches import WALK, Batch, Request, numbers, other_answers

REACH = 3.0
"""How far a latent is moved each way, in standard deviations of the prior."""
CANDIDATES, OTHER_SEEDS = 512, 10_000
"""Codes from which the corrupted ones are taken, and what is added to their seed to make them other codes."""


def samples(request: Request) -> Batch:
    """N codes from the standard normal prior, by seed."""
    seed, n = numbers(request)
    if n < 1:
        raise InputError(f"sample:{request.rest} asks for no samples. Write sample:SEED:N, such as sample:0:16.")
    latents = drawn(request, seed, n)
    return Batch(latents, None, tuple(f"sample {i}" for i in range(n)), f"codes drawn from the prior, seed {seed}")


def walk(request: Request) -> Batch:
    """The first code of a seed with one latent at evenly spaced values, all others left alone."""
    seed, latent = numbers(request)
    code = drawn(request, seed, 1)
    if latent >= code.shape[1]:
        raise InputError(f"There is no latent {latent}: this model has {code.shape[1]}, the first being 0.")
    values = torch.linspace(-REACH, REACH, WALK)
    latents = code.repeat(WALK, 1).index_copy(1, torch.tensor([latent]), values[:, None])
    labels = tuple(f"latent {latent} at {value:+.2f}" for value in values.tolist())
    return Batch(latents, None, labels, f"one code (seed {seed}), latent {latent} from {-REACH:g} to {REACH:g}")


def other_verdicts(request: Request) -> Batch:
    """For each clean code one that the network judges otherwise, drawn from the prior."""
    seed = request.seed_of_others("codes that the network judges otherwise") + OTHER_SEEDS
    codes = drawn(request, seed, CANDIDATES)
    rows = other_answers(request, codes)
    labels = tuple(f"other sample {row}" for row in rows.tolist())
    return Batch(codes[rows], None, labels, f"codes that the network judges otherwise, seed {request.rest}")


def drawn(request: Request, seed: int, n: int) -> torch.Tensor:
    """So many codes."""
    size = request.model.example(1).shape[1]
    return torch.randn(n, size, generator=generator(seed, "prior"))
