"""An n-gram language model with interpolated modified Kneser-Ney smoothing: what a neural one has to beat."""

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
"""N-grams, each packed into one number: its last token in the lowest bits."""


@dataclass(frozen=True, eq=False)
class Order:
    """What the model knows of n-grams of one length.

    `keys` are the n-grams seen, sorted, and `kept` their discounted counts; `contexts` what stands before the last
    token, sorted, `total` the counts of all that follow it, `freed` what the discounts took from them.
    """

    keys: Keys
    kept: NDArray[np.float64]
    contexts: Keys
    total: NDArray[np.float64]
    freed: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NgramModel:
    """Probabilities of a token after the `len(orders) - 1` tokens before it."""

    orders: tuple[Order, ...]
    vocab: int
    bits: int

    def probabilities(self, tokens: Int[Tensor, " token"]) -> NDArray[np.float64]:
        """Of each token after the ones before it (Chen & Goodman 1998, equation 24); the first has none before it.

        Costs one binary search for each token and order.
        """
        stream = tokens.numpy()
        p = np.full(len(stream), 1 / self.vocab)
        for n, order in enumerate(self.orders, 1):
            keys = packed(stream, n, self.bits)
            place, known = found(order.contexts, keys >> self.bits)
            at, seen = found(order.keys, keys)
            lower = p[n - 1 :]
            kept = np.where(seen, order.kept[at], 0.0)
            mixed = (kept + order.freed[place] * lower) / order.total[place]
            p[n - 1 :] = np.where(known, mixed, lower)
        return p


def fit_ngrams(tokens: Int[Tensor, " token"], vocab: int, order: int = 5) -> NgramModel:
    """The model of a text's n-grams up to `order` tokens.

    Three discounts for each order, from how many n-grams were counted once to four times; orders below the highest
    count in how many contexts an n-gram occurs (Chen & Goodman 1998, sections 3 and 4.1.6). Costs `order` sorts.
    """
    bits = max(1, math.ceil(math.log2(vocab)))
    if order < 1 or order * bits > 63:
        raise ConfigError(
            f"{order}-grams of {vocab} tokens do not fit 63 bits. Choose an order from 1 to {63 // bits}."
        )
    if len(tokens) <= order:
        raise DataError(f"A text of {len(tokens)} tokens has no {order}-grams to learn from. Give a longer one.")
    keys, counts = np.unique(packed(tokens.numpy(), order, bits), return_counts=True)
    orders = [smoothed(keys, counts, bits)]
    for n in range(order - 1, 0, -1):
        keys, counts = np.unique(keys & ((1 << n * bits) - 1), return_counts=True)
        orders.append(smoothed(keys, counts, bits))
    return NgramModel(tuple(reversed(orders)), vocab, bits)


def smoothed(keys: Keys, counts: NDArray[np.int64], bits: int) -> Order:
    """The discounted counts of n-grams, and what each context has to give to shorter ones."""
    taken = discounts(counts)[np.minimum(counts, 3)]
    contexts, first = np.unique(keys >> bits, return_index=True)
    total, freed = (np.add.reduceat(x.astype(np.float64), first) for x in (counts, taken))
    return Order(keys, counts - taken, contexts, total, freed)


def discounts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is taken from a count of 0, 1, 2, and 3 or more (Chen & Goodman 1998, equation 26).

    One half each where too few n-grams were counted once to four times to tell, so that the equation has no answer or
    would leave nothing to shorter n-grams.
    """
    n = [int((counts == k).sum()) for k in range(1, 5)]
    if min(n) == 0:
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n[0] / (n[0] + 2 * n[1])
    taken = [k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3)]
    return np.array([0.0, *(taken if min(taken) > 0 else [0.5] * 3)])


def packed(stream: NDArray[np.int64], n: int, bits: int) -> Keys:
    """Every n-gram of a stream, as one number."""
    keys = np.zeros(len(stream) - n + 1, dtype=np.int64)
    for offset in range(n):
        keys = keys << bits | stream[offset : len(stream) - n + 1 + offset]
    return keys


def found(known: Keys, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each key stands in a sorted table, and whether it is there at all."""
    at = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return at, known[at] == keys


def ngram_metrics(model: NgramModel, tokens: Int[Tensor, " token"], n_bytes: int) -> dict[str, Any]:
    """`validation_loss` (nats per token) and `bits_per_byte` of a text, counted as `language_metrics` counts them."""
    losses = -np.log(model.probabilities(tokens)[1:])
    loss, n = float(losses.mean()), len(losses)
    return {
        "validation_loss": {"value": loss, "n": n},
        "bits_per_byte": {"value": loss * len(tokens) / n_bytes / math.log(2), "n": n},
    }
