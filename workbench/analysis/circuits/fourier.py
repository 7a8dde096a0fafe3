"""Fourier analysis of addition modulo a prime: frequencies that a network uses, and accuracy with and without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel

Table = Float[Tensor, "first second answer"]
"""Logits of every answer to every pair of numbers."""
KEPT = 0.95
"""Share of the variance explained by the sum that the key frequencies hold together."""


@dataclass(frozen=True)
class FourierSpectrum:
    """Power at each frequency k = 1 .. (prime - 1) / 2, as shares from 0 to 1.

    `embedding` is the power of the centred embeddings of the numbers; all frequencies sum to 1. `logits` is the power
    of the logits (minus their mean over answers) as centred functions of the pair, along cos and sin of
    2 pi k (a + b) / prime. The remainder to 1 does not depend on the sum alone. `key` are the fewest frequencies that
    hold 95 % of the total power in the logits.
    """

    prime: int
    embedding: Float[Tensor, " frequency"]
    logits: Float[Tensor, " frequency"]
    key: tuple[int, ...]


@dataclass(frozen=True)
class KeyFrequencies:
    """Loss and accuracy with the key frequencies alone and without them (Nanda et al. 2023, section 5).

    Losses are in nats, accuracies are shares of pairs. `restricted`: only the mean over pairs and the key frequencies
    of the sum are kept in the logits. `excluded`: only these frequencies are removed. Each is measured over all pairs,
    `trained` and `excluded_trained` over the training pairs.
    """

    loss: float
    accuracy: float
    trained: float
    restricted: float
    restricted_accuracy: float
    excluded: float
    excluded_accuracy: float
    excluded_trained: float


def fourier_basis(prime: int) -> Float[Tensor, "frequency two number"]:
    """Compute cosine and sine of 2 pi k x / prime at the numbers x, for k = 1 .. (prime - 1) / 2, each of norm 1.

    Together with the constant they are an orthonormal basis of functions of a number modulo an odd prime.
    """
    if prime < 3 or prime % 2 == 0:
        raise InputError(f"The modulus must be odd and at least 3, not {prime}. Use a prime such as 113.")
    angle = 2 * pi * torch.outer(torch.arange(1, (prime + 1) // 2), torch.arange(prime)).double() / prime
    return (torch.stack([angle.cos(), angle.sin()], dim=1) * (2 / prime) ** 0.5).float()


@torch.no_grad()
def sum_logits(model: HookedModel, prime: int) -> Table:
    """Compute the logits of the answer to every `a b =`, where token `prime` is `=`. Costs 1 forward pass."""
    numbers = torch.arange(prime)
    pairs = torch.cartesian_prod(numbers, numbers)
    logits = model(torch.cat([pairs, torch.full((len(pairs), 1), prime)], dim=1))[:, -1, :prime]
    return rearrange(logits, "(first second) answer -> first second answer", first=prime)


def spectrum(embedding: Float[Tensor, "number d_model"], logits: Table) -> FourierSpectrum:
    """Compute the power of each frequency in the embeddings of the numbers and in the logits as functions of a + b."""
    prime = len(embedding)
    basis = fourier_basis(prime).to(embedding)
    centred = embedding - embedding.mean(dim=0)
    waves = einsum(basis, centred, "k two number, number m -> k two m").square().sum(dim=(1, 2))
    logits = logits - logits.mean(dim=2, keepdim=True)  # what all answers share, softmax does not see
    along = along_sum(logits).square().sum(dim=(1, 2))
    total = (logits - logits.mean(dim=(0, 1))).square().sum()
    return FourierSpectrum(prime, waves / centred.square().sum(), along / total, key_frequencies(along))


def key_frequencies(strength: Float[Tensor, " frequency"], kept: float = KEPT) -> tuple[int, ...]:
    """Return the fewest frequencies (counted from 1) that hold at least the share `kept` of the power, ascending."""
    order = strength.argsort(descending=True)
    needed = int((strength[order].cumsum(0) < kept * strength.sum()).sum()) + 1
    return tuple(sorted((order[:needed] + 1).tolist()))


def along_sum(logits: Table) -> Float[Tensor, "frequency two answer"]:
    """Project the logits, as functions of the pair, onto cos and sin of 2 pi k (a + b) / prime (norm 1)."""
    prime = len(logits)
    return einsum(fourier_basis(prime).to(logits), by_sum(logits), "k two sum, sum answer -> k two answer") / prime**0.5


def by_sum(logits: Table) -> Float[Tensor, "sum answer"]:
    """Add up the logits of the pairs with the same sum."""
    numbers = torch.arange(prime := len(logits))
    sums = ((numbers[:, None] + numbers) % prime).flatten()
    return logits.new_zeros(prime, logits.shape[2]).index_add(0, sums, logits.flatten(0, 1))


def of_frequencies(logits: Table, frequencies: Sequence[int]) -> Table:
    """Compute the part of the logits that is a wave of a + b at one of the frequencies."""
    prime = len(logits)
    chosen = torch.tensor([k - 1 for k in frequencies], dtype=torch.long)
    basis = fourier_basis(prime).to(logits)[chosen]
    waves = einsum(basis, along_sum(logits)[chosen], "k two sum, k two answer -> sum answer") / prime**0.5
    numbers = torch.arange(prime)
    return waves[(numbers[:, None] + numbers) % prime]


def restrict(logits: Table, frequencies: Sequence[int]) -> Table:
    """Keep only these frequencies of the sum in the logits, and their mean over all pairs."""
    return of_frequencies(logits, frequencies) + logits.mean(dim=(0, 1))


def exclude(logits: Table, frequencies: Sequence[int]) -> Table:
    """Remove these frequencies of the sum from the logits."""
    return logits - of_frequencies(logits, frequencies)


def measure_frequencies(
    logits: Table, frequencies: Sequence[int], trained: Bool[Tensor, "first second"]
) -> KeyFrequencies:
    """Measure loss and accuracy with the key frequencies alone and without them. `trained` marks the training pairs."""
    alone, without = restrict(logits, frequencies), exclude(logits, frequencies)
    everywhere = torch.ones_like(trained)
    loss, accuracy = score_pairs(logits, everywhere)
    restricted_loss, restricted_accuracy = score_pairs(alone, everywhere)
    excluded_loss, excluded_accuracy = score_pairs(without, everywhere)
    return KeyFrequencies(
        loss, accuracy, score_pairs(logits, trained)[0], restricted_loss, restricted_accuracy, excluded_loss,
        excluded_accuracy, score_pairs(without, trained)[0],
    )  # fmt: skip


def score_pairs(logits: Table, pairs: Bool[Tensor, "first second"]) -> tuple[float, float]:
    """Compute the mean loss and accuracy over some pairs."""
    numbers = torch.arange(len(logits))
    sums = ((numbers[:, None] + numbers) % len(logits))[pairs]
    chosen = logits[pairs]
    return float(cross_entropy(chosen, sums)), float((chosen.argmax(dim=-1) == sums).float().mean())
