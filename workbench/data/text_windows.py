"""Windows of a long text: random ones to train on, consecutive ones to evaluate on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from workbench.core.errors import ConfigError, DataError
from workbench.core.random import generator

Tokens = Int[Tensor, "batch pos"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Token windows, and at each position the token that follows."""

    inputs: Int[Tensor, "batch pos"]
    targets: Int[Tensor, "batch pos"]


def random_windows(
    tokens: Int[Tensor, " token"], batch_size: int, context: int, seed: int
) -> Callable[[int], tuple[Tokens, Tokens]]:
    """A function from a step to its batch (inputs, next tokens): a pure function of (seed, step).

    Starts are drawn uniformly over the text, with replacement.
    """
    check_window(tokens, context)
    if batch_size < 1:
        raise ConfigError(f"A batch size of {batch_size} holds no window. Choose 1 or more.")
    every_window = tokens.unfold(0, context + 1, 1)

    def batch(step: int) -> tuple[Tokens, Tokens]:
        starts = torch.randint(len(every_window), (batch_size,), generator=generator(seed, "windows", step))
        windows = every_window[starts]
        return windows[:, :-1], windows[:, 1:]

    return batch


def consecutive_windows(tokens: Int[Tensor, " token"], context: int) -> Windows:
    """The text cut into windows that do not overlap, so that each token is predicted at most once.

    The first token is never predicted, and the last ones are left out when they do not fill a window.
    """
    check_window(tokens, context)
    count = (len(tokens) - 1) // context
    inputs = tokens[: count * context].reshape(count, context)
    targets = tokens[1 : count * context + 1].reshape(count, context)
    return Windows(inputs, targets)


def check_window(tokens: Int[Tensor, " token"], context: int) -> None:
    """Raises when one window and its next token do not fit into the text."""
    if context < 1:
        raise ConfigError(f"A context of {context} tokens holds nothing. Choose 1 or more.")
    if len(tokens) < context + 1:
        raise DataError(
            f"The text has {len(tokens)} tokens; a window of {context} needs {context + 1} (one more to predict). "
            f"Choose a context of at most {len(tokens) - 1} or a longer text."
        )
