"""N-gram language model with interpolated modified Kneser-Ney smoothing, a baseline for neural ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from workbench.core.errors import ConfigError, DataError

Keys = NDArray[np.int64]
"""N-grams packed into one number each, with the last token in the lowest bits."""


@dataclass(frozen=True, eq=False)
class Order:
    """Counts of n-grams of one length.

    `keys` are the observed n-grams, sorted, and `kept` their discounted counts; `contexts` their first n - 1 tokens,
    sorted, `total` the summed counts per context and `freed` the summed discounts.
    """

    keys: Keys
    kept: NDArray[np.float64]
    contexts: Keys
    total: NDArray[np.float64]
    freed: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NgramModel:
    """Probabilities of a token given up to `len(orders) - 1` preceding tokens."""

    orders: tuple[Order, ...]
    vocab: int
    bits: int

    def probabilities(self, tokens: Int[Tensor, " token"]) -> NDArray[np.float64]:
        """Compute the probability of each token given the preceding ones (Chen & Goodman 1998, equation 24).

        Cost: One binary search for each token and order.
        """
        stream = tokens.numpy()
        p = np.full(len(stream), 1 / self.vocab)
        for n, order in enumerate(self.orders, 1):
            keys = pack(stream, n, self.bits)
            place, known = look_up(order.contexts, keys >> self.bits)
            at, seen = look_up(order.keys, keys)
            lower = p[n - 1 :]
            kept = np.where(seen, order.kept[at], 0.0)
            mixed = (kept + order.freed[place] * lower) / order.total[place]
            p[n - 1 :] = np.where(known, mixed, lower)
        return p


def fit_ngrams(tokens: Int[Tensor, " token"], vocab: int, order: int = 5) -> NgramModel:
    """Fit a model to the n-grams of a text up to `order` tokens.

    Each order has three discounts. Orders below the highest count the contexts of an n-gram instead of its occurrences
    (Chen & Goodman 1998, sections 3 and 4.1.6). Cost: `order` sorts.
    """
    bits = max(1, math.ceil(math.log2(vocab)))
    if order < 1 or order * bits > 63:
        raise ConfigError(
            f"{order}-grams of {vocab} tokens do not fit 63 bits. Choose an order from 1 to {63 // bits}."
        )
    if len(tokens) <= order:
        raise DataError(f"A text of {len(tokens)} tokens has no {order}-grams to learn from. Give a longer one.")
    keys, counts = np.unique(pack(tokens.numpy(), order, bits), return_counts=True)
    orders = [smooth_counts(keys, counts, bits)]
    for n in range(order - 1, 0, -1):
        keys, counts = np.unique(keys & ((1 << n * bits) - 1), return_counts=True)
        orders.append(smooth_counts(keys, counts, bits))
    return NgramModel(tuple(reversed(orders)), vocab, bits)


def smooth_counts(keys: Keys, counts: NDArray[np.int64], bits: int) -> Order:
    """Compute discounted counts, and the discounts per context."""
    taken = compute_discounts(counts)[np.minimum(counts, 3)]
    contexts, first = np.unique(keys >> bits, return_index=True)
    total, freed = (np.add.reduceat(x.astype(np.float64), first) for x in (counts, taken))
    return Order(keys, counts - taken, contexts, total, freed)


def compute_discounts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the discounts of counts of 0, 1, 2, and 3 or more (Chen & Goodman 1998, equation 26).

    All are 0.5 if too few n-grams have small counts, so that the equation has no solution or a negative one.
    """
    n = [int((counts == k).sum()) for k in range(1, 5)]
    if min(n) == 0:
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n[0] / (n[0] + 2 * n[1])
    taken = [k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3)]
    return np.array([0.0, *(taken if min(taken) > 0 else [0.5] * 3)])


def pack(stream: NDArray[np.int64], n: int, bits: int) -> Keys:
    """Pack every n-gram of a stream into one number."""
    keys = np.zeros(len(stream) - n + 1, dtype=np.int64)
    for offset in range(n):
        keys = keys << bits | stream[offset : len(stream) - n + 1 + offset]
    return keys


def look_up(known: Keys, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the index of each key in a sorted table, and whether the table holds it."""
    at = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return at, known[at] == keys


def ngram_metrics(model: NgramModel, tokens: Int[Tensor, " token"], n_bytes: int) -> dict[str, Any]:
    """Measure `validation_loss` (nats per token) and `bits_per_byte` of a text, as `language_metrics` does."""
    losses = -np.log(model.probabilities(tokens)[1:])
    loss, n = float(losses.mean()), len(losses)
    return {
        "validation_loss": {"value": loss, "n": n},
        "bits_per_byte": {"value": loss * len(tokens) / n_bytes / math.log(2), "n": n},
    }
