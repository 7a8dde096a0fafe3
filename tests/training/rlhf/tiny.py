"""Tiny language for tests: prompts `3 1` and `4 1`, completions of tokens 2 to 7 that end with 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.training.rlhf.completions import Marks, completion_mask
from workbench.training.rlhf.reward_model import Scorer
from workbench.zoo.gpt import GPT, GPTConfig

MARKS = Marks(prompt_end=1, end=0)
PROMPTS = [torch.tensor([3, 1]), torch.tensor([4, 3, 1])]
GOOD, BAD, LIKED = 6, 7, 5


def network(seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    return GPT(GPTConfig(d_vocab=8, n_ctx=16, n_layers=1, d_model=16, n_heads=2, positions="rotary")).eval()


def scorer(seed: int = 0) -> Scorer:
    return Scorer(network(seed), GOOD, BAD, MARKS)


class LikesOneToken(Scorer):
    """Counts how often a completion has the token LIKED."""

    def forward(self, tokens: Tensor) -> Tensor:
        return ((tokens == LIKED) & completion_mask(tokens, MARKS)).sum(dim=1).float()


def complete(gpt: Any, prompts: Sequence[Tensor], random: torch.Generator) -> Tensor:
    return gpt.complete(prompts, 6, MARKS.end, random)


def some_rows(seed: int = 0, n: int = 32) -> Tensor:
    return complete(network(), [PROMPTS[i % 2] for i in range(n)], torch.Generator().manual_seed(seed))
