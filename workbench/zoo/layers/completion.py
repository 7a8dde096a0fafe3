"""Completion of prompts of different lengths in one batch, without padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.zoo.layers.sampling import SamplingConfig, draw

Extend = Callable[[Int[Tensor, "batch new"]], Float[Tensor, "batch new vocab"]]
"""Returns the logits of the tokens that follow all those it was called with before."""


def complete_prompts(
    extend: Extend,
    prompts: Sequence[Int[Tensor, " _"]],
    n_new: int,
    end: int,
    sampling: SamplingConfig,
    random: torch.Generator,
) -> Int[Tensor, "batch total"]:
    """Sample completions of prompts of different lengths; rows are filled with `end` after the first sampled `end`.

    All rows advance one position at a time from the end of the shortest prompt. At positions inside a longer prompt the
    prompt's token replaces the sampled one. The longest prompt gets at most `n_new` tokens, shorter ones more.

    Args:
        extend: Computes logits of new tokens, with a cache of earlier ones.
        prompts: Token ids of each prompt.
        n_new: Number of tokens to sample after the longest prompt.
        end: Token that ends a completion.
        sampling: Temperature, top-k and top-p.
        random: Generator of the samples.

    Returns:
        Prompts and completions. A completion without `end` was cut off.
    """
    length = torch.tensor([len(prompt) for prompt in prompts])
    tokens = torch.full((len(prompts), int(length.max()) + n_new), end)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    start = place = int(length.min())
    ended = torch.zeros(len(prompts), dtype=torch.bool)
    logits = extend(tokens[:, :start])
    while True:
        given = place < length
        drawn = draw(logits[:, -1], sampling, random)
        tokens[:, place] = torch.where(given, tokens[:, place], drawn.masked_fill(ended, end))
        ended |= ~given & (tokens[:, place] == end)
        place += 1
        if place == tokens.shape[1] or ended.all():
            return tokens[:, :place]
        logits = extend(tokens[:, place - 1 : place])
