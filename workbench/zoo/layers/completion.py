"""Prompts of any lengths completed side by side, without padding: shorter prompts begin earlier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.zoo.layers.sampling import Sampling, draw

Extend = Callable[[Int[Tensor, "batch new"]], Float[Tensor, "batch new vocab"]]
"""Logits of the tokens that follow all those it was given before."""


def completed(
    extend: Extend,
    prompts: Sequence[Int[Tensor, " _"]],
    n_new: int,
    end: int,
    sampling: Sampling,
    random: torch.Generator,
) -> Int[Tensor, "batch total"]:
    """The prompts, each with what was sampled after it, `end` and nothing but `end` from there on.

    The longest prompt gets at most `n_new` tokens, shorter ones as many more as they are shorter; who has not ended by
    then is cut off and has no `end`. While a prompt is being read, its own token takes the place of the drawn one.
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
