"""Random windows of a long text, for training."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import ConfigError, DataError
from workbench.core.random import generator

Tokens = Int[Tensor, "batch pos"]


def random_windows(
    tokens: Int[Tensor, " token"], batch_size: int, context: int, seed: int
) -> Callable[[int], tuple[Tokens, Tokens]]:
    """Return a function from a step to its batch (inputs, next tokens).

    Starts are uniform over the text, with replacement. Batches depend only on (seed, step).
    """
    check_window(tokens, context)
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}.")
    every_window = tokens.unfold(0, context + 1, 1)

    def batch(step: int) -> tuple[Tokens, Tokens]:
        starts = torch.randint(len(every_window), (batch_size,), generator=generator(seed, "windows", step))
        windows = every_window[starts]
        return windows[:, :-1], windows[:, 1:]

    return batch


def check_window(tokens: Int[Tensor, " token"], context: int) -> None:
    """Raise unless the text holds one window and its next token."""
    if context < 1:
        raise ConfigError(f"context must be at least 1 token, got {context}.")
    if len(tokens) < context + 1:
        raise DataError(
            f"The text has {len(tokens)} tokens, but a context of {context} needs {context + 1} (one to predict). "
            f"Choose a context of at most {len(tokens) - 1} or a longer text."
        )
