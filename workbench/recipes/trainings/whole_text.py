"""Evaluation of a language model on a whole text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from workbench.data.text.tokenizers import Tokenizer
from workbench.training.language_modelling import language_metrics


def on_text(
    tokenizer: Tokenizer, text: str, context: int, precision: str = "fp32"
) -> Callable[[nn.Module], dict[str, Any]]:
    """Return the function that measures a model on a whole text."""
    tokens, n_bytes = tokenizer.encode(text), len(text.encode())
    return partial(language_metrics, tokens=tokens, context=context, n_bytes=n_bytes, precision=precision)
